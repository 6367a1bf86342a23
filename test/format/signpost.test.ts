import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { newFileId } from "../../src/format/id.js";
import { hasMark } from "../../src/format/manifest-key.js";
import {
  fileOfSignpost,
  isSignpost,
  MAX_SIGNPOST_BYTES,
  newSignpostKey,
  openSignpost,
  sealSignpost,
  signpostPrefix,
} from "../../src/format/signpost.js";
import { secondReading } from "../support/second-reader.js";

/** Written once, by a program over docs/format.md and not by the code under test (docs/format.md §13). */
const PATH = join(import.meta.dirname, "../vectors/sv1-signposts.json");

interface Vector {
  readonly name: string;
  readonly operatorKey: string | null;
  readonly fileId: string;
  readonly hash: string;
  readonly slot: number;
  readonly paddingBytes: number;
  readonly objectKey: string;
  readonly object64: string;
}
const { signposts } = JSON.parse(readFileSync(PATH, "utf8")) as { signposts: Vector[] };

const OPERATOR_KEY = new Uint8Array(32).fill(7);
const HASH = "ab".repeat(32);

function newSignpost(operatorKey: Uint8Array | null = OPERATOR_KEY) {
  const fileId = newFileId();
  const objectKey = newSignpostKey(fileId, 3);
  return { fileId, objectKey, object: sealSignpost({ objectKey, fileId, hash: HASH, operatorKey }) };
}

describe("a signpost", () => {
  test("tells the hash to who has the file id, and the file id to the operator", () => {
    const { fileId, objectKey, object } = newSignpost();
    expect(objectKey.startsWith(signpostPrefix(fileId, 3))).toBe(true);
    expect(openSignpost(fileId, objectKey, object)).toBe(HASH);
    expect(isSignpost(OPERATOR_KEY, objectKey, object.subarray(0, 16))).toBe(true);
    expect(hasMark(OPERATOR_KEY, objectKey, object)).toBe(false);
    expect(fileOfSignpost(OPERATOR_KEY, objectKey, object)).toBe(fileId);
    expect(object.length).toBeLessThanOrEqual(MAX_SIGNPOST_BYTES);
  });

  test("tells nothing to anyone else, nor under another name", () => {
    const { fileId, objectKey, object } = newSignpost();
    const other = newSignpostKey(fileId, 3);
    expect(openSignpost(newFileId(), objectKey, object)).toBeNull();
    expect(openSignpost(fileId, other, object)).toBeNull();
    const stranger = new Uint8Array(32);
    expect(isSignpost(stranger, objectKey, object)).toBe(false);
    expect(isSignpost(OPERATOR_KEY, other, object)).toBe(false);
    expect(fileOfSignpost(stranger, objectKey, object)).toBeNull();
    const { objectKey: unmarked, object: without } = newSignpost(null);
    expect(isSignpost(OPERATOR_KEY, unmarked, without)).toBe(false);
  });

  test("of one other bit tells nothing", () => {
    const { fileId, objectKey, object } = newSignpost();
    fc.assert(
      fc.property(fc.nat(object.length * 8 - 1), bit => {
        const flipped = object.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const reader = bit < 480 ? HASH : null; // mark and escrow are not the reader's
        expect(openSignpost(fileId, objectKey, flipped)).toBe(reader);
        if (bit < 128) expect(isSignpost(OPERATOR_KEY, objectKey, flipped)).toBe(false);
        else if (bit < 480) expect(fileOfSignpost(OPERATOR_KEY, objectKey, flipped)).toBeNull();
      }),
    );
  });

  test.each([0, 1, 59, 60, 61, 87, 88, 119])("cut to %i bytes tells nothing", length => {
    const { fileId, objectKey, object } = newSignpost();
    expect(openSignpost(fileId, objectKey, object.subarray(0, length))).toBeNull();
  });

  test("no two slots begin alike", () => {
    const fileId = newFileId();
    expect(new Set(Array.from({ length: 16 }, (_, slot) => signpostPrefix(fileId, slot))).size).toBe(16);
  });
});

describe("our reader opens, and our writer writes again,", () => {
  test.each(signposts)("a signpost $name", vector => {
    const { objectKey, fileId, hash, paddingBytes } = vector;
    const object = Buffer.from(vector.object64, "base64");
    const operatorKey = vector.operatorKey === null ? null : Buffer.from(vector.operatorKey, "hex");
    expect(objectKey.slice(0, 16)).toBe(signpostPrefix(fileId, vector.slot));
    expect(openSignpost(fileId, objectKey, object)).toBe(hash);
    if (operatorKey) expect(fileOfSignpost(operatorKey, objectKey, object)).toBe(fileId);
    const drawn = {
      noise: object.subarray(0, 60),
      escrowIv: object.subarray(16, 28),
      iv: object.subarray(60, 72),
      paddingBytes,
    };
    const again = sealSignpost({ objectKey, fileId, hash, operatorKey }, drawn);
    expect(Buffer.compare(again, object)).toBe(0);
  });
});

test("a second reader, written from docs/format.md alone, opens every vector to the same", () => {
  const opened = secondReading(PATH);
  if (!opened) return;
  expect(opened).toEqual(
    signposts.map(({ name, operatorKey, hash }) => {
      return { group: "signposts", name, isEscrowed: operatorKey !== null, hash };
    }),
  );
});
