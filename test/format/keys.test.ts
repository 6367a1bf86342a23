import { describe, expect, test } from "@jest/globals";
import { newFileId } from "../../src/format/id.js";
import {
  bodyAad,
  bodyKey,
  commitment,
  mapKey,
  metaKey,
  newDek,
  sealKey,
  tailAad,
  tailKey,
} from "../../src/format/keys.js";

describe("keys", () => {
  test("each purpose has a key of its own, of 32 bytes, and none is the DEK", () => {
    const dek = newDek();
    const keys = [dek, ...[bodyKey, tailKey, metaKey, mapKey, sealKey, commitment].map(of => of(dek))];
    expect(new Set(keys.map(key => Buffer.from(key).toString("hex"))).size).toBe(7);
    for (const key of keys) expect(key).toHaveLength(32);
    expect(bodyKey(dek)).toEqual(bodyKey(Uint8Array.from(dek)));
  });

  test("a DEK of another length is a bug", () => {
    expect(() => bodyKey(new Uint8Array(31))).toThrow(TypeError);
  });

  test("AADs name the file, and a tail's its start", () => {
    const id = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    const hex = "000102030405060708090a0b0c0d0e0f";
    expect(Buffer.from(bodyAad(id)).toString("latin1", 0, 4)).toBe("sv/1");
    expect(Buffer.from(bodyAad(id)).toString("hex", 4)).toBe(hex);
    expect(Buffer.from(tailAad(id, 2 ** 40 + 1)).toString("latin1", 0, 9)).toBe("sv/1/tail");
    expect(Buffer.from(tailAad(id, 2 ** 40 + 1)).toString("hex", 9)).toBe(`${hex}0000010000000001`);
    expect(bodyAad(newFileId())).not.toEqual(bodyAad(newFileId()));
  });
});
