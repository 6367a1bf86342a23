import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { BucketRecord, BucketState, ParityProfile } from "../../src/core/model.js";
import { canHold, choose, place, placeElsewhere, profileFor } from "../../src/core/placement.js";
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

const profile = (dataChunks: number, parityChunks: number): ParityProfile => ({ dataChunks, parityChunks });

test.each([
  [1, profile(1, 0)],
  [2, profile(1, 1)],
  [3, profile(1, 2)],
  [4, profile(2, 2)],
  [5, profile(3, 2)],
  [6, profile(4, 2)],
  [40, profile(4, 2)],
])("%d buckets: stripes of %j", (count, expected) => {
  expect(profileFor(count)).toEqual(expected);
});

test("no buckets: no profile", () => {
  expect(() => profileFor(0)).toThrow(expect.objectContaining({ code: "STORAGE_UNAVAILABLE" }));
});

describe("choose, chunk by chunk, fills a stripe", () => {
  const stripe = (candidates: BucketRecord[], of: ParityProfile, suspects = new Set<number>(), seed = 1) => {
    const bucketIds: number[] = [];
    const random = seeded(seed);
    for (let i = 0; i < of.dataChunks + of.parityChunks; i++) {
      const chosen = choose(candidates, { profile: of, bucketIds }, suspects, random);
      if (chosen === undefined) break;
      bucketIds.push(chosen);
    }
    return bucketIds;
  };
  const most = (ids: readonly unknown[]) =>
    Math.max(...[...new Set(ids)].map(id => ids.filter(one => one === id).length));
  const six = [1, 2, 3, 4, 5, 6].map(id => bucket(id));

  test.each([
    // buckets  profile        most chunks in one bucket
    [6, profile(4, 2), 1],
    [5, profile(4, 2), 2],
    [4, profile(4, 2), 2],
    [3, profile(4, 2), 2],
    [3, profile(1, 2), 1],
    [2, profile(1, 1), 1],
    [1, profile(4, 0), 4],
  ])("%d buckets, %j: at most %d in one bucket", (count, of, expected) => {
    for (let seed = 0; seed < 50; seed++) {
      const ids = stripe(six.slice(0, count), of, new Set(), seed);
      expect(ids).toHaveLength(of.dataChunks + of.parityChunks);
      expect(most(ids)).toBe(expected);
    }
  });

  test.each([
    [2, profile(4, 2)],
    [1, profile(1, 1)],
  ])("%d buckets cannot hold %j: a loss would cost more than the parity", (count, of) => {
    expect(stripe(six.slice(0, count), of).length).toBeLessThan(of.dataChunks + of.parityChunks);
    expect(canHold(of, count)).toBe(false);
  });

  test("goes around suspects while the others can hold the stripe, and takes them when they cannot", () => {
    for (let seed = 0; seed < 50; seed++)
      expect(stripe(six, profile(4, 2), new Set([1, 2]), seed)).not.toContain(1);
    expect(stripe(six.slice(0, 2), profile(1, 1), new Set([1])).sort()).toEqual([1, 2]);
  });

  test("puts at most m chunks into one failure domain while there are others", () => {
    const domains = ["a", "a", "a", "b", "b", "c"];
    const some = six.map((one, at) => ({ ...one, domain: domains[at] ?? null }));
    for (let seed = 0; seed < 50; seed++) {
      const ids = stripe(some, profile(3, 2), new Set(), seed);
      expect(new Set(ids).size).toBe(5);
      expect(most(ids.map(id => domains[id - 1]))).toBe(2);
    }
  });
});

describe("placeElsewhere", () => {
  const inDomain = (id: number, domain: string | null) => ({ ...bucket(id), domain });
  const six = [1, 2, 3, 4, 5, 6].map(id => inDomain(id, ["a", "b", "c"][(id - 1) % 3] ?? null));
  const drawn = (some: BucketRecord[], holding: number[], { failed = [0], suspects = [0] } = {}) => {
    const sets = { holding: new Set(holding), failed: new Set(failed) };
    const ids = Array.from({ length: 50 }, (_, seed) =>
      placeElsewhere(some, sets, new Set(suspects), seeded(seed)),
    );
    return [...new Set(ids)].sort();
  };

  test.each([
    ["any that holds nothing of the stripe", [1, 2, 3], [1], {}, [2, 3]],
    ["the domain that holds the fewest of it", six, [1, 2, 4], {}, [3, 6]],
    ["no suspect while there is another", six, [1, 2, 4], { suspects: [3] }, [6]],
    ["another domain rather than a suspect", six, [1, 2, 4], { suspects: [3, 6] }, [5]],
    ["a suspect rather than nothing", [1, 2], [1], { suspects: [2] }, [2]],
    ["none that failed to take it", [1, 2, 3], [1], { failed: [2] }, [3]],
    ["nothing where all hold a chunk of it", [1, 2], [1, 2], {}, [undefined]],
  ])("draws %s", (_, some, holding, others, expected) => {
    const candidates = some.map(one => (typeof one === "number" ? bucket(one) : one));
    expect(drawn(candidates, holding, others)).toEqual(expected);
  });
});
