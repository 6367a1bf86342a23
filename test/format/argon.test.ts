import { argon2Sync } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import type { PasswordParams } from "../../src/format/argon.js";
import { checkArgonCost, DEFAULT_ARGON_COST, passwordKey } from "../../src/format/argon.js";
import { FormatError } from "../../src/format/errors.js";
import { newFileId } from "../../src/format/id.js";

const FILE = "00010203-0405-0607-0809-0a0b0c0d0e0f";
const CHEAP: PasswordParams = {
  memoryKiB: 64,
  passes: 1,
  lanes: 1,
  pepperId: 0,
  salt: new Uint8Array(16).fill(5),
};
const PEPPERED = { ...CHEAP, pepperId: 1 };

describe("passwordKey", () => {
  test("is Argon2id of password, salt, pepper and the file", async () => {
    const pepper = new Uint8Array(32).fill(9);
    const expected = argon2Sync("argon2id", {
      message: "hunter2",
      nonce: PEPPERED.salt,
      secret: pepper,
      associatedData: Buffer.concat([Buffer.from("sv/1/pw"), Buffer.from(FILE.replaceAll("-", ""), "hex")]),
      memory: 64,
      passes: 1,
      parallelism: 1,
      tagLength: 32,
    });
    expect(await passwordKey("hunter2", PEPPERED, FILE, pepper)).toEqual(new Uint8Array(expected));
  });

  test("is another for anything that differs", async () => {
    const keys = await Promise.all([
      passwordKey("a", CHEAP, FILE),
      passwordKey("b", CHEAP, FILE),
      passwordKey("", CHEAP, FILE),
      passwordKey("a ", CHEAP, FILE),
      passwordKey("a", CHEAP, newFileId()),
      passwordKey("a", { ...CHEAP, salt: new Uint8Array(16) }, FILE),
      passwordKey("a", { ...CHEAP, passes: 2 }, FILE),
      passwordKey("a", { ...CHEAP, lanes: 2 }, FILE),
      passwordKey("a", { ...CHEAP, memoryKiB: 65 }, FILE),
      passwordKey("a", PEPPERED, FILE, new Uint8Array(32)),
    ]);
    expect(new Set(keys.map(key => Buffer.from(key).toString("hex"))).size).toBe(10);
  });

  test.each([
    ["\u00e5", "a\u030a", "composed and combining"],
    ["\ufb01", "fi", "a ligature"],
    ["\uff41", "a", "full width"],
    ["\ud800", "\ufffd", "a lone surrogate and what it becomes in UTF-8"],
  ])("is the same for %j and %j: %s", async (one, other) => {
    expect(await passwordKey(one, CHEAP, FILE)).toEqual(await passwordKey(other, CHEAP, FILE));
  });

  test("refuses a cost out of bounds, before it spends it", async () => {
    await expect(passwordKey("a", { ...CHEAP, memoryKiB: 2 ** 32 - 1 }, FILE)).rejects.toThrow(FormatError);
  });

  test("takes a pepper exactly when the params name one", async () => {
    await expect(passwordKey("a", PEPPERED, FILE)).rejects.toThrow(TypeError);
    await expect(passwordKey("a", CHEAP, FILE, new Uint8Array(32))).rejects.toThrow(TypeError);
  });
});

describe("checkArgonCost", () => {
  test.each([
    DEFAULT_ARGON_COST,
    { memoryKiB: 8, passes: 1, lanes: 1 },
    { memoryKiB: 2 ** 20, passes: 16, lanes: 16 },
  ])("accepts %j", cost => {
    expect(() => checkArgonCost(cost)).not.toThrow();
  });

  test.each([
    { memoryKiB: 7, passes: 1, lanes: 1 },
    { memoryKiB: 31, passes: 1, lanes: 4 },
    { memoryKiB: 2 ** 20 + 1, passes: 1, lanes: 1 },
    { memoryKiB: 64, passes: 0, lanes: 1 },
    { memoryKiB: 64, passes: 17, lanes: 1 },
    { memoryKiB: 64, passes: 1, lanes: 0 },
    { memoryKiB: 1024, passes: 1, lanes: 17 },
    { memoryKiB: 64.5, passes: 1, lanes: 1 },
    { memoryKiB: Number.NaN, passes: 1, lanes: 1 },
  ])("refuses %j", cost => {
    expect(() => checkArgonCost(cost)).toThrow(FormatError);
  });
});
