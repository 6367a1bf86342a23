import { createHash } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { FileCore } from "../../src/format/core.js";
import {
  CORE_BYTES,
  checkSeal,
  decodeCore,
  digestOf,
  encodeCore,
  hashOf,
  RootHasher,
  sealOf,
} from "../../src/format/core.js";
import { FormatError } from "../../src/format/errors.js";
import { startMessage } from "../../src/format/floe.js";
import { newFileId } from "../../src/format/id.js";
import { bodyAad, bodyKey, commitment, newDek } from "../../src/format/keys.js";
import { chunkCount, layoutFor } from "../../src/format/layout.js";

const DEK = newDek();
const CORE = coreOf(1024, 3000);

describe("a core", () => {
  test("comes back from its 188 bytes, for any layout and length", () => {
    const chunks = fc.integer({ min: 1024, max: 2 ** 26 });
    fc.assert(
      fc.property(chunks, fc.nat(2 ** 31 - 1), (requested, plainBytes) => {
        const core = coreOf(requested, plainBytes);
        const bytes = encodeCore(core);
        expect(bytes).toHaveLength(CORE_BYTES);
        expect(decodeCore(bytes)).toEqual(core);
      }),
    );
  });

  test("has its fields where the specification says", () => {
    const bytes = Buffer.from(encodeCore(CORE));
    expect(bytes.toString("latin1", 0, 4)).toBe("SCVT");
    expect(bytes.toString("hex", 4, 34)).toBe(
      `0100${"00000400"}${"0000000000000400"}${"0000000000000bb8"}${"0000000000000004"}`,
    );
    expect(bytes.toString("hex", 34, 50)).toBe(CORE.fileId.replaceAll("-", ""));
    expect(bytes.subarray(50, 124)).toEqual(Buffer.from(CORE.floeHeader));
    expect(bytes.subarray(124, 156)).toEqual(Buffer.from(CORE.commit));
    expect(bytes.subarray(156)).toEqual(Buffer.from(CORE.root));
  });

  test.each([
    ["flags", { flags: 1 }],
    ["a chunk size out of range", { chunkBytes: 1023 }],
    ["a chunk size that would have been rounded", { chunkBytes: 262_145 }],
    ["a segment size that is not the chunk size's", { segmentBytes: 512 }],
    ["a chunk too few", { chunkCount: 3 }],
    ["a chunk too many", { chunkCount: 5 }],
    ["no chunk", { plainBytes: 0, chunkCount: 0 }],
    ["a length that needs another chunk", { plainBytes: 4 * 992 + 1 }],
    ["the header of another segment size", { floeHeader: coreOf(2048, 1).floeHeader }],
    ["a header cut short", { floeHeader: CORE.floeHeader.subarray(1) }],
    ["a file id that is none", { fileId: "file" }],
  ])("with %s is neither written nor read", (_, change: Partial<FileCore>) => {
    expect(() => encodeCore({ ...CORE, ...change })).toThrow(FormatError);
  });

  test("with any bit flipped is refused, or has another hash and no seal", () => {
    const bytes = encodeCore(CORE);
    const seal = sealOf(DEK, bytes);
    const hashes = new Set([hashOf(bytes)]);
    let read = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(checkSeal(DEK, flipped, seal)).toBe(false);
      hashes.add(hashOf(flipped));
      try {
        decodeCore(flipped);
        read++;
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }
    expect(hashes.size).toBe(1 + bytes.length * 8);
    // Readable are the random fields, and lengths that need as many chunks; the layout, count and params are not.
    expect(read).toBeGreaterThanOrEqual((16 + 64 + 32 + 32) * 8);
    expect(read).toBeLessThan((16 + 64 + 32 + 32 + 8) * 8);
  });

  test("cut or extended is refused", () => {
    const bytes = encodeCore(CORE);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeCore(bytes.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => decodeCore(Buffer.concat([bytes, new Uint8Array(1)]))).toThrow(FormatError);
  });
});

describe("the seal", () => {
  const bytes = encodeCore(CORE);
  const seal = sealOf(DEK, bytes);

  test("is right for the DEK that made it, and for no other", () => {
    expect(checkSeal(DEK, bytes, seal)).toBe(true);
    expect(checkSeal(newDek(), bytes, seal)).toBe(false);
  });

  test("is refused with any bit flipped, or of another length", () => {
    for (let bit = 0; bit < 256; bit++) {
      const flipped = seal.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(checkSeal(DEK, bytes, flipped)).toBe(false);
    }
    for (const length of [0, 16, 31]) expect(checkSeal(DEK, bytes, seal.subarray(0, length))).toBe(false);
  });

  test("does not help a core that commits to another DEK", () => {
    const foreign = encodeCore({ ...CORE, commit: commitment(newDek()) });
    expect(checkSeal(DEK, foreign, sealOf(DEK, foreign))).toBe(false);
  });
});

describe("hash, root and digest", () => {
  test("are SHA-256 of what the specification says", () => {
    const bytes = encodeCore(CORE);
    const sha256 = (...parts: (string | Uint8Array)[]) =>
      parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");
    expect(hashOf(bytes)).toBe(sha256("sv/1/hash", bytes));
    const objects = ["a", "b"].map(text => Buffer.from(text));
    const hasher = new RootHasher();
    for (const object of objects) hasher.add(digestOf(object));
    const root = sha256("sv/1/root", Buffer.from(sha256("a"), "hex"), Buffer.from(sha256("b"), "hex"));
    expect(Buffer.from(hasher.root()).toString("hex")).toBe(root);
  });

  test("a root may be asked for on the way", () => {
    const [asked, silent] = [new RootHasher(), new RootHasher()];
    for (const byte of [1, 2, 3]) {
      asked.add(new Uint8Array(32).fill(byte));
      silent.add(new Uint8Array(32).fill(byte));
      asked.root();
    }
    expect(asked.root()).toEqual(silent.root());
    expect(() => asked.add(new Uint8Array(31))).toThrow(TypeError);
  });
});

function coreOf(requestedChunkBytes: number, plainBytes: number): FileCore {
  const layout = layoutFor(requestedChunkBytes);
  const fileId = newFileId();
  return {
    flags: 0,
    ...layout,
    plainBytes,
    chunkCount: chunkCount(layout, plainBytes),
    fileId,
    floeHeader: startMessage(bodyKey(DEK), bodyAad(fileId), layout.segmentBytes).header,
    commit: commitment(DEK),
    root: digestOf(new Uint8Array()),
  };
}
