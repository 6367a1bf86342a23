import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Share } from "../../src/core/budget.js";
import { Budget } from "../../src/core/budget.js";

const options = { maxWaiters: 100, idleGraceMs: 40 };

describe("a budget", () => {
  test("serves in the order of asking, and never more than its total", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 15 }), { maxLength: 40 }), async amounts => {
        const budget = new Budget(10, options);
        const served: number[] = [];
        let held = 0;
        await Promise.all(
          amounts.map(async (amount, index) => {
            using share = await budget.acquire(amount);
            served.push(index);
            held += share.amount;
            expect(held).toBeLessThanOrEqual(10);
            await Promise.resolve();
            held -= share.amount;
          }),
        );
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
