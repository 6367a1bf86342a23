import { describe, expect, test } from "@jest/globals";
import { FormatError } from "../../../src/format/errors.js";
import { layoutFor, storedBytesOfChunk } from "../../../src/format/layout.js";
import type { ParityProfile } from "../../../src/format/parity/code.js";
import { checkProfile, coefficients, parityBytes, shardBytes } from "../../../src/format/parity/code.js";
import { inverse, product } from "../../../src/format/parity/gf256.js";
import { inverseOf, timesMatrix } from "../../../src/format/parity/matrix.js";
import { DEFAULT_PROFILES, subsets } from "../../support/stripes.js";

describe("the code", () => {
  test.each([
    // k  m  parity rows                                          why
    [1, 1, [[0x01]], "a mirror"],
    [1, 2, [[0x01], [0x8e]], "a mirror, and halves"],
    [
      2,
      2,
      [
        [0x8e, 0xf4],
        [0xf4, 0x8e],
      ],
      "1/2, 1/3 and 1/3, 1/2",
    ],
    [
      4,
      2,
      [
        [0x47, 0xa7, 0x7a, 0xba],
        [0xa7, 0x47, 0xba, 0x7a],
      ],
      "1/4 1/5 1/6 1/7 and 1/5 1/4 1/7 1/6",
    ],
  ])("%d+%d has the rows %j: %s", (dataChunks, parityChunks, rows) => {
    const profile = { dataChunks, parityChunks };
    expect(rows.map((_, j) => [...coefficients(profile, dataChunks + j, dataChunks)])).toEqual(rows);
  });

  test.each([...DEFAULT_PROFILES, [10, 4]])(
    "every square part of the parity rows of %d+%d has an inverse",
    (k, m) => {
      const profile = { dataChunks: k, parityChunks: m };
      const parity = Array.from({ length: m }, (_, j) => coefficients(profile, k + j, k));
      for (let size = 1; size <= Math.min(k, m); size++) {
        for (const rows of subsets(m, size)) {
          for (const columns of subsets(k, size)) {
            const part = rows.map(r => Uint8Array.from(columns, c => parity[r]?.[c] ?? Number.NaN));
            expect(inverseOf(part)).not.toBeNull();
          }
        }
      }
    },
  );

  test("its coefficients are 1/(x ⊕ y) with x the shard and y the data chunk, up to 256 shards", () => {
    const widest = { dataChunks: 128, parityChunks: 128 };
    for (let shard = 128; shard < 256; shard++) {
      for (const [i, a] of coefficients(widest, shard, 128).entries()) {
        if (product(a, shard ^ i) !== 1) throw new Error(`a(${shard}, ${i}) = ${a}`);
      }
    }
    expect([...coefficients({ dataChunks: 3, parityChunks: 2 }, 1, 3)]).toEqual([0, 1, 0]);
  });

  test.each([
    [1, 0, "no parity"],
    [1, 255, "every shard a mirror"],
    [255, 1, "256 shards"],
  ])("%d+%d is a code: %s", (dataChunks, parityChunks) => {
    expect(() => checkProfile({ dataChunks, parityChunks })).not.toThrow();
  });

  test.each([
    [0, 1],
    [200, 57],
    [4, -1],
    [4.5, 2],
    [4, Number.NaN],
  ])("%d+%d is none", (dataChunks, parityChunks) => {
    expect(() => checkProfile({ dataChunks, parityChunks })).toThrow(FormatError);
  });
});

describe("sizes of shards", () => {
  const l = layoutFor(1024); // 992 plain bytes a chunk
  const fourAndTwo: ParityProfile = { dataChunks: 4, parityChunks: 2 };
  test.each([
    // plain        stripe  bytes of each shard                       why
    [4 * 992, 0, [1024, 1024, 1024, 1024, 1024, 1024], "a full stripe"],
    [4 * 992 - 900, 0, [1024, 1024, 1024, 124, 1024, 1024], "a short last chunk has full parity beside it"],
    [4 * 992 + 1, 1, [33, 0, 0, 0, 33, 33], "a short chunk alone has parity as short"],
    [5 * 992 + 1, 1, [1024, 33, 0, 0, 1024, 1024], "missing chunks take no room"],
    [0, 0, [32, 0, 0, 0, 32, 32], "an empty file"],
  ])("of a file of %d plain bytes, stripe %d: %j: %s", (plainBytes, stripe, expected) => {
    expect(shardBytes(l, plainBytes, fourAndTwo, stripe)).toEqual(expected);
    expect(parityBytes(l, plainBytes, fourAndTwo, stripe)).toBe(expected[4]);
  });

  test("data shards are the chunks of the file in order", () => {
    const plainBytes = 10 * 992 + 5;
    const data = [0, 1, 2].flatMap(stripe => shardBytes(l, plainBytes, fourAndTwo, stripe).slice(0, 4));
    const chunks = Array.from({ length: 11 }, (_, i) => storedBytesOfChunk(l, plainBytes, i));
    expect(data).toEqual([...chunks, 0]);
  });

  test("no stripe is behind the last chunk", () => {
    expect(() => shardBytes(l, 4 * 992, fourAndTwo, 1)).toThrow(FormatError);
  });
});

describe("a matrix", () => {
  test("times its inverse is the unit matrix, also when rows must change places", () => {
    const matrix = [Uint8Array.of(0, 2, 1), Uint8Array.of(3, 0, 0), Uint8Array.of(0, 4, 0)];
    const inverted = inverseOf(matrix) ?? [];
    expect(matrix.map(row => [...timesMatrix(row, inverted)])).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
  });

  test("has no inverse when one row is a multiple of another", () => {
    expect(inverseOf([Uint8Array.of(1, 2), Uint8Array.of(inverse(2), 1)])).toBeNull();
  });
});
