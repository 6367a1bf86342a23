import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../../src/format/errors.js";
import type { ParityProfile } from "../../../src/format/parity/code.js";
import { accumulate, parityOf } from "../../../src/format/parity/encode.js";
import type { Columns } from "../../../src/format/parity/rebuild.js";
import { rebuild } from "../../../src/format/parity/rebuild.js";
import { bytesOf, DEFAULT_PROFILES, subsets } from "../../support/stripes.js";

/** Around the borders of 16 and 64 bytes at which a vector kernel changes its step, and of a block of columns. */
const LENGTHS = [1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70];

describe.each(DEFAULT_PROFILES)("a stripe of %d+%d", (k, m) => {
  const profile = { dataChunks: k, parityChunks: m };

  test.each(LENGTHS)("comes back from every loss it must survive, in chunks of %d bytes", length => {
    expectEveryLossRebuilt(profile, dataOf(k, length, length));
  });

  test("comes back when its last chunk is short, or chunks of it never were", () => {
    for (let count = 1; count <= k; count++) {
      for (const last of [1, 16, 63, 64, 65]) expectEveryLossRebuilt(profile, dataOf(count, 65, last));
    }
  });

  test("comes back in chunks of several blocks of columns", () => {
    const shards = shardsOf(profile, dataOf(k, 200_001, 150_003));
    for (const from of [0, k]) {
      expectRebuilt(
        profile,
        shards,
        Array.from({ length: m }, (_, i) => from + i),
      );
    }
  });
});

describe("rebuild", () => {
  const lengths = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 5000 }));
  const stripes = fc
    .record({ k: fc.integer({ min: 1, max: 16 }), m: fc.integer({ min: 1, max: 6 }), length: lengths })
    .chain(({ k, m, length }) =>
      fc.record({
        profile: fc.constant({ dataChunks: k, parityChunks: m }),
        data: fc
          .record({ count: fc.integer({ min: 1, max: k }), last: fc.integer({ min: 1, max: length }) })
          .map(({ count, last }) => dataOf(count, length, last)),
        lost: fc.uniqueArray(fc.nat(k + m - 1), { maxLength: m }),
        columns: fc
          .tuple(fc.nat(length), fc.nat(length))
          .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) })),
      }),
    );

  test("gives back what any code loses, up to 16+6", () => {
    fc.assert(
      fc.property(stripes, ({ profile, data, lost }) => {
        const shards = shardsOf(profile, data);
        expectRebuilt(
          profile,
          shards,
          lost.filter(shard => shards[shard]?.length),
        );
      }),
    );
  });

  test("gives the same for some columns as it gives for all, cut", () => {
    fc.assert(
      fc.property(stripes, ({ profile, data, lost, columns }) => {
        expectRebuilt(profile, shardsOf(profile, data), lost, columns);
      }),
    );
  });

  const profile = { dataChunks: 3, parityChunks: 2 };
  const shards = shardsOf(profile, dataOf(3, 40, 9));
  const shardBytes = shards.map(bytes => bytes.length);
  const presentBut = (...lost: number[]) =>
    new Map([...shards.entries()].filter(([shard]) => !lost.includes(shard)));

  test("needs no more than k shards, and does not mind more or any order", () => {
    const expected = [shards[0], shards[4]];
    for (const order of [
      [1, 2, 3],
      [3, 2, 1],
      [3, 1, 2],
    ]) {
      const present = new Map(order.map(shard => [shard, shards[shard] ?? new Uint8Array()]));
      expect(rebuild({ profile, shardBytes, present }, [0, 4])).toEqual(expected);
    }
    expect(rebuild({ profile, shardBytes, present: presentBut(0) }, [0])).toEqual([shards[0]]);
  });

  test("refuses a stripe of which more is lost than it has parity", () => {
    const present = presentBut(0, 2, 3);
    expect(() => rebuild({ profile, shardBytes, present }, [0])).toThrow(FormatError);
    expect(() => rebuild({ profile, shardBytes, present: new Map() }, [0])).toThrow(FormatError);
  });

  test("refuses a shard with a byte too few or too many, whether it would be used or not", () => {
    for (const shard of [1, 2, 3, 4]) {
      const bytes = shards[shard] ?? new Uint8Array();
      for (const wrong of [bytes.subarray(1), Uint8Array.of(...bytes, 0)]) {
        const present = presentBut(0).set(shard, wrong);
        expect(() => rebuild({ profile, shardBytes, present }, [0])).toThrow(FormatError);
      }
    }
  });

  test("does not change what it reads", () => {
    const present = presentBut(0, 1);
    const before = structuredClone(present);
    rebuild({ profile, shardBytes, present }, [0, 1]);
    expect(present).toEqual(before);
  });

  test.each<[string, () => unknown]>([
    ["a shard beyond k + m", () => rebuild({ profile, shardBytes, present: presentBut() }, [5])],
    [
      "columns that end before they start",
      () => rebuild({ profile, shardBytes, present: new Map() }, [0], { start: 2, end: 1 }),
    ],
    ["sizes of another profile", () => rebuild({ profile, shardBytes: [40, 40], present: new Map() }, [0])],
    [
      "a gap among the data chunks",
      () => rebuild({ profile, shardBytes: [40, 0, 9, 40, 40], present: presentBut(1) }, [0]),
    ],
  ])("takes %s for a bug", (_, call) => {
    expect(call).toThrow(TypeError);
  });
});

describe("accumulate", () => {
  test("gives, in any order of the data chunks, what encoding all at once gives", () => {
    const orders = fc
      .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 300 }))
      .chain(([k, m, last]) =>
        fc.record({
          profile: fc.constant({ dataChunks: k, parityChunks: m }),
          data: fc.constant(dataOf(k, 300, last)),
          order: fc.shuffledSubarray(
            Array.from({ length: k }, (_, i) => i),
            { minLength: k },
          ),
        }),
      );
    fc.assert(
      fc.property(orders, ({ profile, data, order }) => {
        const into = Array.from({ length: profile.parityChunks }, () => new Uint8Array(300));
        for (const shard of order) accumulate(profile, shard, data[shard] ?? new Uint8Array(), into);
        expect(into).toEqual(parityOf(profile, data).map(padded(300)));
      }),
    );
  });

  const profile = { dataChunks: 2, parityChunks: 1 };

  test("adds nothing for a chunk of no bytes", () => {
    const into = [Uint8Array.of(1, 2, 3)];
    accumulate(profile, 1, new Uint8Array(), into);
    expect(into).toEqual([Uint8Array.of(1, 2, 3)]);
  });

  test("leaves what is behind a short chunk as it was", () => {
    const into = [new Uint8Array(4)];
    accumulate(profile, 0, Uint8Array.of(2), into);
    accumulate(profile, 1, Uint8Array.of(3, 0, 0, 7), into);
    const [parity = new Uint8Array()] = parityOf(profile, [
      Uint8Array.of(2, 0, 0, 0),
      Uint8Array.of(3, 0, 0, 7),
    ]);
    expect(into).toEqual([parity]);
  });

  test.each<[string, () => unknown]>([
    ["a parity shard", () => accumulate(profile, 2, new Uint8Array(1), [new Uint8Array(1)])],
    ["a buffer too few", () => accumulate(profile, 0, new Uint8Array(1), [])],
    ["a buffer shorter than the chunk", () => accumulate(profile, 0, new Uint8Array(2), [new Uint8Array(1)])],
    ["more data chunks than k", () => parityOf(profile, dataOf(3, 1, 1))],
    ["no data chunk", () => parityOf(profile, [])],
  ])("takes %s for a bug", (_, call) => {
    expect(call).toThrow(TypeError);
  });
});

/** `count` data chunks of `length` bytes, the last of `last`. */
function dataOf(count: number, length: number, last: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    bytesOf(`chunk ${i}`, i < count - 1 || count === 1 ? length : last),
  );
}

/** All k + m shards of the stripe; none of a data chunk that is not there has a byte. */
function shardsOf(profile: ParityProfile, data: Uint8Array[]): Uint8Array[] {
  const absent = Array.from({ length: profile.dataChunks - data.length }, () => new Uint8Array());
  return [...data, ...absent, ...parityOf(profile, data)];
}

/** Every set of up to m of the shards that exist. */
function lossesOf(shards: Uint8Array[], m: number): number[][] {
  const stored = [...shards.keys()].filter(shard => shards[shard]?.length);
  const sizes = Array.from({ length: m }, (_, i) => i + 1);
  return sizes
    .flatMap(size => subsets(stored.length, size))
    .map(places => places.map(at => stored[at] ?? Number.NaN));
}

function expectEveryLossRebuilt(profile: ParityProfile, data: Uint8Array[]): void {
  const shards = shardsOf(profile, data);
  for (const lost of lossesOf(shards, profile.parityChunks)) expectRebuilt(profile, shards, lost);
}

function expectRebuilt(
  profile: ParityProfile,
  shards: Uint8Array[],
  lost: number[],
  columns?: Columns,
): void {
  const cut = (bytes: Uint8Array) => (columns ? bytes.subarray(columns.start, columns.end) : bytes);
  const shardBytes = shards.map(bytes => bytes.length);
  const present = new Map(
    [...shards.entries()]
      .filter(([shard]) => shardBytes[shard] && !lost.includes(shard))
      .map(([shard, bytes]) => [shard, cut(bytes)]),
  );
  const rebuilt = rebuild({ profile, shardBytes, present }, lost, columns);
  expect(rebuilt).toHaveLength(lost.length);
  for (const [at, shard] of lost.entries()) {
    const [was, is] = [cut(shards[shard] ?? new Uint8Array()), rebuilt[at] ?? new Uint8Array()];
    if (Buffer.compare(was, is) !== 0) throw new Error(`shard ${shard} of ${shards.length} without ${lost}`);
  }
}

function padded(length: number): (bytes: Uint8Array) => Uint8Array {
  return bytes => {
    const wide = new Uint8Array(length);
    wide.set(bytes);
    return wide;
  };
}
