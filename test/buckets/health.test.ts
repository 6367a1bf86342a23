import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Ending } from "../../src/buckets/health.js";
import { HealthOfBuckets } from "../../src/buckets/health.js";
import { MemoryBucket } from "../../src/buckets/memory.js";
import { BucketMetrics, metered } from "../../src/buckets/metered.js";
import { Registry } from "prom-client";
import { FaultyBucket } from "../support/faulty-bucket.js";

const MINUTE_MS = 60_000;

/** A health whose clock stands where the test puts it. */
function observed() {
  const clock = { ms: 1_000_000 };
  const health = new HealthOfBuckets(() => clock.ms);
  const note = (ending: Ending, ms = 1) => health.note("b", "get", ending, ms);
  return { clock, health, note };
}

describe("the health of a bucket", () => {
  test("is unknown before anything was asked of it", () => {
    expect(observed().health.of("b")).toBeNull();
  });

  test.each([
    // ending          reachable  errorRate  lastError
    ["ok", true, 0, null],
    ["conflict", true, 0, null],
    ["full", true, 1, "get: full"],
    ["unavailable", false, 1, "get: unavailable"],
    ["denied", false, 1, "get: denied"],
    ["error", false, 1, "get: error"],
  ] as const)(
    "after %s: reachable %s, error rate %d, last error %s",
    (ending, isReachable, errorRate, lastError) => {
      const { health, note } = observed();
      note(ending);
      expect(health.of("b")).toMatchObject({ isReachable, errorRate, lastError, ageMs: 0 });
    },
  );

  test("is what the last attempt said, and how long ago", () => {
    const { clock, health, note } = observed();
    note("unavailable");
    note("ok");
    clock.ms += 250;
    expect(health.of("b")).toMatchObject({
      isReachable: true,
      ageMs: 250,
      errorRate: 0.5,
      lastError: "get: unavailable",
    });
  });

  test("tells median and 95th percentile to a sixteenth, of what went well", () => {
    const durations = fc.array(fc.double({ min: 0.01, max: 100_000, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(durations, all => {
        const { health, note } = observed();
        for (const ms of all) note("ok", ms);
        note("unavailable", 500_000);
        const sorted = [...all].sort((a, b) => a - b);
        const { latencyMsP50, latencyMsP95 } = health.of("b") ?? {};
        for (const [told, percent] of [
          [latencyMsP50, 50],
          [latencyMsP95, 95],
        ] as const) {
          const rank = (percent / 100) * all.length; // between two values either will do
          const [below, above] = [Math.floor(rank) - 1, Math.ceil(rank)].map(
            index => sorted[Math.min(all.length - 1, Math.max(0, index))] ?? 0,
          );
          expect(told).toBeGreaterThanOrEqual((below ?? 0) * (15 / 16) - 0.002);
          expect(told).toBeLessThanOrEqual((above ?? 0) * (17 / 16) + 0.002);
        }
      }),
    );
  });

  test("forgets what is older than fifteen minutes, but not when it was last seen", () => {
    const { clock, health, note } = observed();
    note("ok", 100);
    note("denied");
    clock.ms += 14 * MINUTE_MS;
    expect(health.of("b")).toMatchObject({ errorRate: 0.5, lastError: "get: denied" });
    clock.ms += 2 * MINUTE_MS;
    expect(health.of("b")).toEqual({
      isReachable: false,
      ageMs: 16 * MINUTE_MS,
      latencyMsP50: null,
      latencyMsP95: null,
      errorRate: null,
      lastError: null,
    });
    note("ok", 3);
    expect(health.of("b")).toMatchObject({ isReachable: true, errorRate: 0, lastError: null });
  });
});

describe("a metered bucket", () => {
  const bucketOf = (health: HealthOfBuckets) => {
    const faulty = new FaultyBucket(new MemoryBucket("b"));
    return { faulty, bucket: metered(faulty, new BucketMetrics(new Registry()), health) };
  };
  const key = "ab".repeat(16);

  test("notes every attempt, and nothing of what lies in it", async () => {
    const { health } = observed();
    const { faulty, bucket } = bucketOf(health);
    await bucket.get(key);
    faulty.fail("put", { failure: "full" });
    await expect(bucket.put(key, new Uint8Array(1))).rejects.toThrow();
    expect(health.of("b")).toMatchObject({ isReachable: true, errorRate: 0.5, lastError: "put: full" });
  });

  test("that does not answer in the time it was given is unreachable; one whose caller left is not", async () => {
    const { health } = observed();
    const { faulty, bucket } = bucketOf(health);
    faulty.stall("get");
    await expect(bucket.get(key, undefined, AbortSignal.timeout(5))).rejects.toThrow();
    expect(health.of("b")).toMatchObject({ isReachable: false, errorRate: 1 });
    const leaving = new AbortController();
    const reading = bucket.get(key, undefined, leaving.signal);
    leaving.abort();
    await expect(reading).rejects.toThrow();
    expect(health.of("b")).toMatchObject({ errorRate: 1, lastError: "get: unavailable" });
  });

  test("is probed when nobody has asked it for a minute, and only then", async () => {
    const { clock, health } = observed();
    const { faulty, bucket } = bucketOf(health);
    const probeOnce = async () => {
      const ending = new AbortController();
      const watching = health.watch([bucket], ending.signal);
      await new Promise(done => setImmediate(done));
      ending.abort();
      await watching;
    };
    await probeOnce();
    expect(health.of("b")).toMatchObject({ isReachable: true, ageMs: 0 });
    clock.ms += MINUTE_MS - 1;
    await probeOnce();
    expect(faulty.calls.get).toBe(1);
    clock.ms += 1;
    faulty.fail("get");
    await probeOnce();
    expect(faulty.calls.get).toBe(2);
    expect(health.of("b")).toMatchObject({ isReachable: false, lastError: "get: unavailable" });
  });
});
