import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { whileKept } from "../../src/core/while-kept.js";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe("whileKept", () => {
  test("keeps again and again until the work ends, whatever became of the time before", async () => {
    const work = Promise.withResolvers<string>();
    let calls = 0;
    const keep = async () => {
      if (++calls === 2) throw new Error("the database is away");
    };
    const all = whileKept(keep, 100, () => work.promise);
    await jest.advanceTimersByTimeAsync(450);
    expect(calls).toBe(4);
    work.resolve("done");
    expect(await all).toBe("done");
    await jest.advanceTimersByTimeAsync(1000);
    expect(calls).toBe(4);
  });

  test("waits for one call before it makes the next", async () => {
    const [work, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let calls = 0;
    const keep = () => {
      calls++;
      return answer.promise;
    };
    const all = whileKept(keep, 100, () => work.promise);
    await jest.advanceTimersByTimeAsync(1050);
    expect(calls).toBe(1);
    answer.resolve();
    work.resolve();
    await all;
    expect(calls).toBe(1);
  });

  test("ends after the call that is under way, and with what the work threw", async () => {
    const answer = Promise.withResolvers<void>();
    const all = whileKept(
      () => answer.promise,
      100,
      async () => {
        await jest.advanceTimersByTimeAsync(150);
        throw new Error("failed");
      },
    );
    let hasEnded = false;
    const ended = all.catch(() => {
      hasEnded = true;
    });
    await jest.advanceTimersByTimeAsync(500);
    expect(hasEnded).toBe(false);
    answer.resolve();
    await ended;
    await expect(all).rejects.toThrow("failed");
  });
});
