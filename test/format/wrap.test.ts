import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../src/format/errors.js";
import { newFileId } from "../../src/format/id.js";
import { newDek } from "../../src/format/keys.js";
import type { WrapKind } from "../../src/format/wrap.js";
import {
  decodeLinkParams,
  decodePasswordParams,
  decodeUploadParams,
  encodeLinkParams,
  encodePasswordParams,
  encodeUploadParams,
  unwrapDek,
  wrapDek,
  wrapParams,
} from "../../src/format/wrap.js";

const FILE = newFileId();
const DEK = newDek();
const IKM = newDek();
const SALT = Uint8Array.from({ length: 16 }, (_, i) => i);

const PARAMS: Record<WrapKind, Uint8Array> = {
  password: encodePasswordParams({ memoryKiB: 65_536, passes: 3, lanes: 4, pepperId: 2, salt: SALT }),
  link: encodeLinkParams({ notAfter: 1_800_000_000, maxUses: 5 }),
  upload: encodeUploadParams({ notAfter: 1_800_000_000 }),
};
const KINDS: WrapKind[] = ["password", "link", "upload"];

describe.each(KINDS)("the %s wrap", kind => {
  const record = wrapDek({ kind, params: PARAMS[kind], ikm: IKM, fileId: FILE, dek: DEK });
  const open = (changed: Uint8Array) => unwrapDek({ kind, record: changed, ikm: IKM, fileId: FILE });
  const commitAt = 2 + PARAMS[kind].length;

  test("gives the DEK back, and its params", () => {
    expect(open(record)).toEqual(DEK);
    expect(wrapParams(record, kind)).toEqual(PARAMS[kind]);
    expect(record).toHaveLength({ password: 118, link: 106, upload: 102 }[kind]);
  });

  test("is null for another key or another file", () => {
    expect(unwrapDek({ kind, record, ikm: newDek(), fileId: FILE })).toBeNull();
    expect(unwrapDek({ kind, record, ikm: IKM, fileId: newFileId() })).toBeNull();
  });

  test("does not open with any bit flipped: null up to the commitment, damaged behind it", () => {
    for (let bit = 0; bit < record.length * 8; bit++) {
      const changed = flip(record, bit);
      const isBound = bit >= 2 * 8 && bit < (commitAt + 32) * 8;
      if (isBound) expect(open(changed)).toBeNull();
      else expect(() => open(changed)).toThrow(FormatError);
    }
  });

  test("is refused cut or extended", () => {
    for (let length = 0; length < record.length; length++) {
      expect(() => open(record.subarray(0, length))).toThrow(FormatError);
      expect(() => wrapParams(record.subarray(0, length), kind)).toThrow(FormatError);
    }
    expect(() => open(Buffer.concat([record, new Uint8Array(1)]))).toThrow(FormatError);
  });

  test("is refused as any other kind", () => {
    for (const other of KINDS.filter(other => other !== kind)) {
      expect(() => unwrapDek({ kind: other, record, ikm: IKM, fileId: FILE })).toThrow(FormatError);
    }
  });

  test("is another record each time", () => {
    expect(wrapDek({ kind, params: PARAMS[kind], ikm: IKM, fileId: FILE, dek: DEK })).not.toEqual(record);
  });

  test("is the same record for the same IV", () => {
    const iv = record.slice(commitAt + 32, commitAt + 44);
    expect(wrapDek({ kind, params: PARAMS[kind], ikm: IKM, fileId: FILE, dek: DEK, iv })).toEqual(record);
  });

  test("does not open under another key even if that key's box is put behind its commitment", () => {
    const theirs = wrapDek({ kind, params: PARAMS[kind], ikm: newDek(), fileId: FILE, dek: DEK });
    const mixed = Buffer.concat([record.subarray(0, commitAt + 32), theirs.subarray(commitAt + 32)]);
    expect(() => open(mixed)).toThrow(FormatError);
    const planted = Buffer.concat([theirs.subarray(0, commitAt + 32), record.subarray(commitAt + 32)]);
    expect(open(planted)).toBeNull(); // the box alone would have opened
  });
});

describe("params", () => {
  test("of passwords survive, in 24 bytes", () => {
    const params = { memoryKiB: 65_536, passes: 3, lanes: 4, pepperId: 2, salt: SALT };
    expect(Buffer.from(PARAMS.password).toString("hex")).toBe(
      `0100010000030402${Buffer.from(SALT).toString("hex")}`,
    );
    expect(decodePasswordParams(PARAMS.password)).toEqual(params);
  });

  test("of links and uploads survive", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(2 ** 31 - 1), (notAfter, maxUses) => {
        expect(decodeLinkParams(encodeLinkParams({ notAfter, maxUses }))).toEqual({ notAfter, maxUses });
        expect(decodeUploadParams(encodeUploadParams({ notAfter }))).toEqual({ notAfter });
      }),
    );
  });

  test.each([
    ["an unknown KDF", 0, 2],
    ["no passes", 5, 0],
    ["17 passes", 5, 17],
    ["no lanes", 6, 0],
    ["17 lanes", 6, 17],
    ["4 GiB", 1, 0xff],
  ])("of passwords are refused with %s", (_, at, value) => {
    expect(() => decodePasswordParams(PARAMS.password.with(at, value))).toThrow(FormatError);
  });

  test("of another length are refused, and times from 2^53 on", () => {
    for (const decode of [decodePasswordParams, decodeLinkParams, decodeUploadParams]) {
      expect(() => decode(new Uint8Array(11))).toThrow(FormatError);
    }
    expect(() => decodeUploadParams(Uint8Array.of(0, 32, 0, 0, 0, 0, 0, 0))).toThrow(FormatError);
    expect(() => decodeLinkParams(new Uint8Array(12).fill(255))).toThrow(FormatError);
  });

  test("out of range are a bug of the writer", () => {
    expect(() => encodeLinkParams({ notAfter: -1, maxUses: 0 })).toThrow(TypeError);
    expect(() => encodeLinkParams({ notAfter: 1.5, maxUses: 0 })).toThrow(TypeError);
    expect(() => encodeLinkParams({ notAfter: 1, maxUses: 2 ** 32 })).toThrow(TypeError);
    expect(() => wrapDek({ kind: "link", params: PARAMS.upload, ikm: IKM, fileId: FILE, dek: DEK })).toThrow(
      TypeError,
    );
    expect(() =>
      wrapDek({ kind: "link", params: PARAMS.link, ikm: IKM, fileId: FILE, dek: DEK.subarray(1) }),
    ).toThrow(TypeError);
  });

  test("kinds are checked by the compiler", () => {
    // @ts-expect-error: not a kind
    expect(() => wrapParams(new Uint8Array(102), "share")).toThrow(TypeError);
  });
});

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  return bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}
