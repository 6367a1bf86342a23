import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import type { Share } from "../../src/core/budget.js";
import { Budget } from "../../src/core/budget.js";

const options = { maxWaiters: 100, idleGraceMs: 40 };

afterEach(() => void jest.useRealTimers());

/** Which of those who ask at once is served when; each holds its share for so many turns, and all never more than the total. */
async function serving(budget: Budget, amounts: readonly number[], turnsOf: (index: number) => number) {
  const served: number[] = [];
  let held = 0;
  await Promise.all(
    amounts.map(async (amount, index) => {
      using share = await budget.acquire(amount);
      served.push(index);
      held += share.amount;
      expect(held).toBeLessThanOrEqual(budget.total);
      for (let i = turnsOf(index); i > 0; i--) await Promise.resolve();
      held -= share.amount;
    }),
  );
  return served;
}

describe("a budget", () => {
  test("serves in the order of asking, and never more than its total", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 15 }), { maxLength: 40 }), async amounts => {
        const budget = new Budget(10, options);
        const served = await serving(budget, amounts, () => 1);
        expect(served).toEqual(amounts.map((_, index) => index));
        expect(budget.free).toBe(10);
      }),
    );
  });

  test("lets one that is larger than the total run alone", async () => {
    const budget = new Budget(10, options);
    const large = await budget.acquire(25);
    expect(budget.tryAcquire(1)).toBeNull();
    large.release();
    expect(budget.free).toBe(10);
  });

  test("does not let a small one pass one that waits", async () => {
    const budget = new Budget(10, options);
    const first = await budget.acquire(8);
    const order: string[] = [];
    const large = budget.acquire(5).then(share => order.push("large") && share);
    const small = budget.acquire(1).then(share => order.push("small") && share);
    await sleep(1);
    expect(order).toEqual([]);
    first.release();
    await Promise.all([large, small]);
    expect(order).toEqual(["large", "small"]);
  });

  test("forgets only those whose signal has fired, also where one of them gets its share by that", async () => {
    const budget = new Budget(10, options);
    const held = await budget.acquire(8);
    const leaving = new AbortController();
    const large = budget.acquire(9, leaving.signal);
    const small = budget.acquire(2, leaving.signal);
    const other = budget.acquire(10);
    leaving.abort(new Error("gone"));
    await expect(large).rejects.toThrow("gone");
    held.release();
    (await small).release();
    expect((await other).amount).toBe(10);
  });

  test("gives a share back once, however often it is released", async () => {
    const budget = new Budget(10, options);
    const share = await budget.acquire(4);
    share.release();
    share.release();
    expect(budget.free).toBe(10);
  });

  test("takes back one that fills too slowly, though never idle for long, and the slowest of several", async () => {
    const budget = new Budget(10, options);
    jest.useFakeTimers();
    const reclaimed: string[] = [];
    const idle = (share: Share, name: string) =>
      share.idle(() => {
        reclaimed.push(name);
        share.release();
      });
    const [slow, slower] = [await budget.acquire(5), await budget.acquire(5)];
    /** In each round one is idle for 20 ms, the other for 5 of these. */
    const rounds = (count: number) => {
      for (let i = 0; i < count; i++) {
        idle(slower, "slower");
        jest.advanceTimersByTime(15);
        idle(slow, "slow");
        jest.advanceTimersByTime(5);
        for (const share of [slow, slower]) share.busy();
      }
    };
    rounds(20);
    expect(reclaimed).toEqual([]);
    const first = budget.acquire(5);
    rounds(5);
    expect(reclaimed).toEqual(["slower"]);
    await first;
    const second = budget.acquire(5);
    rounds(20);
    expect(reclaimed).toEqual(["slower"]); // the other has been idle for 225 ms of 240
    rounds(5);
    expect(reclaimed).toEqual(["slower", "slow"]);
    await second;
  });

  test("gives what is left beside those who wait to nobody who can do without", async () => {
    const budget = new Budget(10, options);
    using _held = await budget.acquire(8);
    void budget.acquire(5);
    expect(budget.tryAcquire(1)).toBeNull();
  });

  test("turns away more waiters than it may have, with BUSY and when to come again", async () => {
    const budget = new Budget(1, { ...options, maxWaiters: 1 });
    await budget.acquire(1);
    void budget.acquire(1);
    await expect(budget.acquire(1)).rejects.toMatchObject({ code: "BUSY", retryAfterSeconds: 5 });
  });

  test("forgets a waiter whose signal fires, and serves those behind it", async () => {
    const budget = new Budget(10, options);
    const held = await budget.acquire(8);
    const gone = new AbortController();
    const large = budget.acquire(9, gone.signal);
    const small = budget.acquire(2);
    gone.abort(new Error("gone"));
    await expect(large).rejects.toThrow("gone");
    expect((await small).amount).toBe(2);
    held.release();
    expect(budget.waiting).toBe(0);
  });

  test("takes back the share that has been idle longest, but only while another waits", async () => {
    const budget = new Budget(10, options);
    const reclaimed: string[] = [];
    const idle = async (name: string): Promise<Share> => {
      const share = await budget.acquire(5);
      share.idle(() => {
        reclaimed.push(name);
        share.release();
      });
      return share;
    };
    await idle("first");
    await idle("second");
    await sleep(100);
    expect(reclaimed).toEqual([]);
    await budget.acquire(5);
    expect(reclaimed).toEqual(["first"]);
  });

  test("leaves a share alone that is busy again", async () => {
    const budget = new Budget(10, options);
    const share = await budget.acquire(10);
    let isReclaimed = false;
    share.idle(() => {
      isReclaimed = true;
    });
    share.busy();
    const waiting = budget.acquire(1);
    await sleep(120);
    expect(isReclaimed).toBe(false);
    share.release();
    await waiting;
  });
});

describe("a budget that keeps room", () => {
  const roomy = { ...options, keepsRoom: true };

  test("lets who wants little pass those who wait for a large share to come back, and takes that back", async () => {
    const budget = new Budget(100, roomy);
    const large = await budget.acquire(60);
    const small = await budget.acquire(20);
    small.idle(() => small.release());
    const order: string[] = [];
    const others = [60, 30, 60].map(amount =>
      budget.acquire(amount).then(share => {
        order.push(`large ${amount}`);
        share.release();
      }),
    );
    for (let i = 0; i < 100; i++) (await budget.acquire(20)).release();
    expect(order).toEqual([]);
    await sleep(100);
    large.idle(() => large.release());
    await Promise.all(others);
    expect(order).toEqual(["large 60", "large 30", "large 60"]);
    expect(budget.free).toBe(80); // the small one was left alone, who could not have helped
  });

  test("gives large ones that trickle more time where only large ones wait for them", async () => {
    jest.useFakeTimers();
    const budget = new Budget(100, roomy);
    const large = await budget.acquire(60);
    let isReclaimed = false;
    const idleFor = (ms: number) => {
      for (let passed = 0; passed < ms; passed += 20) {
        large.idle(() => {
          isReclaimed = true;
        });
        jest.advanceTimersByTime(20);
        large.busy();
      }
    };
    void budget.acquire(60);
    idleFor(2380);
    expect(isReclaimed).toBe(false);
    idleFor(40);
    expect(isReclaimed).toBe(true);
  });

  test("lets a large one that waits for memory alone be passed by none", async () => {
    const budget = new Budget(100, roomy);
    const small = await Promise.all([1, 2, 3].map(() => budget.acquire(20)));
    const order: string[] = [];
    const waiting = [60, 5].map(amount => budget.acquire(amount).then(() => order.push(String(amount))));
    await sleep(1);
    expect(order).toEqual([]);
    small[0]?.release();
    await Promise.all(waiting.slice(0, 1));
    expect(order).toEqual(["60"]);
    small[1]?.release();
    await Promise.all(waiting);
  });

  test("gives one that wants more than everything three quarters, and its holder can have more", async () => {
    const budget = new Budget(100, roomy);
    using _reading = await budget.acquire(10);
    using all = await budget.acquire(1000);
    expect(all.amount).toBe(75);
  });

  test("serves everyone, large ones in the order of asking, and never more than its total", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 40 }), async amounts => {
        const budget = new Budget(100, roomy);
        const served = await serving(budget, amounts, index => index % 5);
        const isLarge = (index: number) => (amounts[index] ?? 0) > 25;
        expect(served.filter(isLarge)).toEqual(amounts.flatMap((_, i) => (isLarge(i) ? [i] : [])));
        expect(served.filter(i => !isLarge(i))).toEqual(amounts.flatMap((_, i) => (isLarge(i) ? [] : [i])));
        expect([budget.free, budget.waiting]).toEqual([100, 0]);
      }),
    );
  });
});
