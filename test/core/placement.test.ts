import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { BucketRecord, BucketState } from "../../src/core/model.js";
import { place, profileFor } from "../../src/core/placement.js";
import { seeded } from "../support/flaky-proxy.js";

const bucket = (id: number, weight = 1, state: BucketState = "active"): BucketRecord => ({
  id,
  name: `memory://${id}`,
  provider: "memory",
  region: null,
  domain: null,
  state,
  weight,
});

const buckets = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 1, max: 20 }),
    weight: fc.integer({ min: 0, max: 5 }),
    state: fc.constantFrom<BucketState>("active", "read_only", "draining", "disabled"),
  }),
  { selector: ({ id }) => id, maxLength: 12 },
);

describe("place", () => {
  test("gives different buckets, all active, none taken, as many as there are up to the count", () => {
    fc.assert(
      fc.property(
        buckets,
        fc.nat(12),
        fc.array(fc.integer({ min: 1, max: 20 })),
        fc.nat(),
        (some, count, used, seed) => {
          const candidates = some.map(({ id, weight, state }) => bucket(id, weight, state));
          const taken = new Set(used);
          const placed = place(candidates, count, taken, new Set(), seeded(seed));
          const open = candidates.filter(b => b.state === "active" && b.weight > 0 && !taken.has(b.id));
          expect(new Set(placed).size).toBe(placed.length);
          expect(placed.length).toBe(Math.min(count, open.length));
          for (const id of placed) expect(open.map(b => b.id)).toContain(id);
        },
      ),
    );
  });

  test("takes a suspect only when no other is left", () => {
    const three = [bucket(1), bucket(2), bucket(3)];
    for (let seed = 0; seed < 50; seed++) {
      expect(place(three, 2, new Set(), new Set([2]), seeded(seed)).sort()).toEqual([1, 3]);
    }
    expect(place(three, 3, new Set(), new Set([2]), seeded(1)).at(-1)).toBe(2);
  });

  test("gives a bucket its share by weight", () => {
    const random = seeded(7);
    let heavy = 0;
    for (let i = 0; i < 20_000; i++)
      heavy += place([bucket(1, 3), bucket(2, 1)], 1, new Set(), new Set(), random)[0] === 1 ? 1 : 0;
    expect(heavy / 20_000).toBeCloseTo(0.75, 1);
  });
});

test.each([
  // buckets  data chunks of a stripe
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 2],
  [5, 3],
  [6, 4],
  [40, 4],
])("%d buckets: stripes of %d data chunks", (count, dataChunks) => {
  expect(profileFor(count)).toEqual({ dataChunks, parityChunks: 0 });
});

test("no buckets: no profile", () => {
  expect(() => profileFor(0)).toThrow(RangeError);
});
