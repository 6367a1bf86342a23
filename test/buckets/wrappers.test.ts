/** The wrappers keep the contract of what they wrap, and each adds its one thing. */
import { getEventListeners } from "node:events";
import { describe, expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import { Registry } from "prom-client";
import { withDeadline } from "../../src/buckets/deadline.js";
import { limited } from "../../src/buckets/limit.js";
import { MemoryBucket } from "../../src/buckets/memory.js";
import { BucketMetrics, metered } from "../../src/buckets/metered.js";
import { retrying } from "../../src/buckets/retry.js";
import { SlowDownError } from "../../src/buckets/slow-down.js";
import type { BucketFailure } from "../../src/core/errors.js";
import type { Bucket } from "../../src/core/ports.js";
import { bucketContract, failing, newKey } from "../contracts/bucket.js";
import { FaultyBucket } from "../support/faulty-bucket.js";

const QUICK = { attempts: 3, baseDelayMs: 1, maxDelayMs: 4 };
const BYTES = Uint8Array.of(1, 2, 3);
const REASON = new Error("the caller went away");

function faulty(): FaultyBucket {
  return new FaultyBucket(memory());
}

function memory(): MemoryBucket {
  return new MemoryBucket("memory://a");
}

function rejecting(error: Error): Bucket {
  return Object.assign(memory(), { list: () => Promise.reject(error) });
}

bucketContract("retrying", async () => ({ bucket: retrying(memory(), QUICK) }));
bucketContract("withDeadline", async () => ({
  bucket: withDeadline(memory(), { baseMs: 9999, perMiBMs: 9 }),
}));
bucketContract("limited", async () => ({ bucket: limited(memory(), 2) }));
bucketContract("metered", async () => ({
  bucket: metered(memory(), new BucketMetrics(new Registry())),
}));
bucketContract("FaultyBucket without faults", async () => ({ bucket: faulty() }));

describe("retrying", () => {
  test("tries again what is unavailable, as often as it may", async () => {
    const inner = faulty();
    const bucket = retrying(inner, QUICK);
    inner.fail("put", { times: 2 });
    await bucket.put(newKey(), BYTES);
    expect(inner.calls.put).toBe(3);
    inner.fail("list");
    await expect(bucket.list()).rejects.toMatchObject(failing("unavailable"));
    expect(inner.calls.list).toBe(3);
  });

  test("puts once although every answer was lost but the last", async () => {
    const inner = faulty();
    const key = newKey();
    inner.fail("put", { times: 2, isDone: true });
    await retrying(inner, QUICK).put(key, BYTES);
    expect(await inner.get(key)).toEqual(BYTES);
  });

  test.each<BucketFailure>(["denied", "full", "conflict"])("does not try again what is %s", async failure => {
    const inner = faulty();
    inner.fail("get", { failure });
    await expect(retrying(inner, QUICK).get(newKey())).rejects.toMatchObject(failing(failure));
    expect(inner.calls.get).toBe(1);
  });

  test("does not try again what is a bug", async () => {
    const inner = new FaultyBucket(rejecting(new TypeError("a bug")));
    await expect(retrying(inner, QUICK).list()).rejects.toThrow("a bug");
    expect(inner.calls.list).toBe(1);
  });

  test("stops pausing when the caller gives up, with the caller's reason", async () => {
    const inner = faulty();
    inner.fail("get");
    const caller = new AbortController();
    const slow = retrying(inner, {
      attempts: 9,
      baseDelayMs: 60_000,
      maxDelayMs: 60_000,
      random: () => 0.9,
    });
    const get = slow.get(newKey(), undefined, caller.signal);
    setTimeout(() => caller.abort(REASON), 10);
    await expect(get).rejects.toBe(REASON);
    expect(inner.calls.get).toBe(1);
  });

  test("waits as long as it is told to, and gives up if that is longer than it may", async () => {
    const bucket = retrying(rejecting(new SlowDownError("busy", 60)), {
      attempts: 3,
      baseDelayMs: 1,
      maxDelayMs: 100,
    });
    const before = performance.now();
    await expect(bucket.list()).rejects.toThrow("busy");
    expect(performance.now() - before).toBeGreaterThanOrEqual(115); // two pauses
    const inner = new FaultyBucket(rejecting(new SlowDownError("very busy", 101)));
    await expect(retrying(inner, { ...QUICK, maxDelayMs: 100 }).list()).rejects.toThrow("very busy");
    expect(inner.calls.list).toBe(1);
  });
});

describe("withDeadline", () => {
  test("ends an attempt that never settles, whatever the adapter does with the signal", async () => {
    const never = () => new Promise<never>(() => {});
    const hung: Bucket = { name: "memory://hung", put: never, get: never, delete: never, list: never };
    const bucket = withDeadline(hung, { baseMs: 20, perMiBMs: 0 });
    const key = newKey();
    for (const work of [bucket.put(key, BYTES), bucket.get(key), bucket.delete(key), bucket.list()]) {
      await expect(work).rejects.toMatchObject(failing("unavailable"));
    }
  });

  test("gives large objects more time", async () => {
    const inner = faulty();
    inner.stall("any");
    const bucket = withDeadline(inner, { baseMs: 10, perMiBMs: 100 });
    const key = newKey();
    await expect(bucket.put(key, new Uint8Array(2 << 20))).rejects.toThrow("no answer in 210 ms");
    await expect(bucket.get(key, { first: 0, last: (1 << 20) - 1 })).rejects.toThrow("no answer in 110 ms");
    await expect(bucket.delete(key)).rejects.toThrow("no answer in 10 ms");
  });

  test("tells the adapter to stop, and the caller its own reason", async () => {
    const inner = faulty();
    inner.stall("get");
    const caller = new AbortController();
    const get = withDeadline(inner, { baseMs: 9999, perMiBMs: 0 }).get(newKey(), undefined, caller.signal);
    caller.abort(REASON);
    await expect(get).rejects.toBe(REASON);
  });

  test("leaves no timer behind", async () => {
    jest.useFakeTimers();
    try {
      const bucket = withDeadline(memory(), { baseMs: 9999, perMiBMs: 0 });
      await bucket.put(newKey(), BYTES);
      await bucket.get("no key").catch(() => {});
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

test("no wrapper holds on to a caller's signal once the call has ended", async () => {
  const caller = new AbortController();
  const inner = faulty();
  inner.fail("list", { times: 1 });
  const bucket = retrying(limited(withDeadline(inner, { baseMs: 9999, perMiBMs: 0 }), 1), QUICK);
  await Promise.all([1, 2, 3].map(() => bucket.list({}, caller.signal)));
  expect(getEventListeners(caller.signal, "abort")).toHaveLength(0);
});

describe("limited", () => {
  test("never runs more at once than allowed, loses none, and frees every place", async () => {
    const plans = fc.array(fc.record({ isFailing: fc.boolean(), ticks: fc.nat(5), isAborted: fc.boolean() }));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), plans, async (max, calls) => {
        let running = 0;
        let most = 0;
        const queue = [...calls];
        const list = async () => {
          const call = queue.shift();
          most = Math.max(most, ++running);
          for (let i = 0; i < (call?.ticks ?? 0); i++) await Promise.resolve();
          running--;
          if (call?.isFailing) throw REASON;
          return [];
        };
        const bucket = limited(Object.assign(memory(), { list }), max);
        const results = calls.map(({ isAborted }) => {
          const caller = new AbortController();
          const answer = bucket.list({}, caller.signal);
          if (isAborted) caller.abort(REASON);
          return answer;
        });
        await Promise.allSettled(results);
        expect(most).toBeLessThanOrEqual(max);
        expect(running).toBe(0);
        const again = Array.from({ length: max + 1 }, () => bucket.list()); // hangs if a place was lost
        await Promise.allSettled(again);
      }),
      { numRuns: 200 },
    );
  });

  test("serves in order of arrival, and who gives up leaves at once", async () => {
    const inner = faulty();
    const bucket = limited(inner, 1);
    const release = inner.stall("put", { times: 1 });
    const done: string[] = [];
    const first = bucket.put(newKey(), BYTES).then(() => done.push("first"));
    const caller = new AbortController();
    const second = bucket.put(newKey(), BYTES, caller.signal).then(() => done.push("second"));
    const third = bucket.put(newKey(), BYTES).then(() => done.push("third"));
    caller.abort(REASON);
    await expect(second).rejects.toBe(REASON);
    expect(inner.calls.put).toBe(1);
    release();
    await Promise.all([first, third]);
    expect(done).toEqual(["first", "third"]);
  });
});

test("who waits for a bucket that lets an attempt wait for its whole deadline waits no longer than that", async () => {
  const inner = faulty();
  inner.stall("put");
  const bucket = limited(withDeadline(inner, { baseMs: 50, perMiBMs: 0 }), 2);
  const puts = Array.from({ length: 9 }, () => bucket.put(newKey(), BYTES));
  const ended = await Promise.allSettled(puts);
  expect(ended.map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => "rejected"));
  expect(inner.calls.put).toBe(2);
  inner.heal();
  await Promise.all([1, 2, 3].map(() => bucket.put(newKey(), BYTES))); // no place was lost
});

test("who waits for a thread is not refused when one comes back of an attempt that was given up", async () => {
  const inner = faulty();
  const isWell = Promise.withResolvers<void>();
  const put: Bucket["put"] = async (_key, _bytes, signal) => {
    await isWell.promise;
    signal?.throwIfAborted(); // as an adapter between two system calls
  };
  const bucket = withDeadline(limited(Object.assign(inner, { put }), 1), { baseMs: 100, perMiBMs: 0 });
  const late = bucket.put(newKey(), BYTES);
  await expect(late).rejects.toThrow("no answer");
  const next = bucket.put(newKey(), BYTES);
  isWell.resolve();
  await next;
});

describe("metered", () => {
  test("counts attempts by outcome, and bytes both ways", async () => {
    const registry = new Registry();
    const inner = faulty();
    const bucket = metered(inner, new BucketMetrics(registry));
    const key = newKey();
    await bucket.put(key, BYTES);
    await bucket.get(key, { first: 0, last: 1 });
    inner.fail("get", { failure: "denied", times: 1 });
    await bucket.get(key).catch(() => {});
    await bucket.get(key, undefined, AbortSignal.abort(REASON)).catch(() => {});
    await bucket.get("no key").catch(() => {});

    const text = await registry.metrics();
    const label = 'bucket="memory://a",operation="get"';
    for (const outcome of ["ok", "denied", "aborted", "error"]) {
      expect(text).toContain(`scattervault_bucket_attempts_total{${label},outcome="${outcome}"} 1`);
    }
    expect(text).toContain(`scattervault_bucket_bytes_total{${label}} 2`);
    expect(text).toContain('scattervault_bucket_bytes_total{bucket="memory://a",operation="put"} 3');
    expect(text).toContain(`scattervault_bucket_attempt_seconds_count{${label}} 4`);
    expect(text).not.toContain(key);
  });
});
