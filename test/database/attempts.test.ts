import { describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import { Attempts, UNLIMITED } from "../../src/database/attempts.js";
import type { AttemptKey, AttemptLimiter } from "../../src/core/ports.js";
import { stores, times } from "./fixture.js";

const s = stores();
let keyCount = 0;

function newKey(limit: AttemptKey["limit"] = "password"): AttemptKey {
  return { limit, key: `key ${keyCount++}` };
}

async function takenOf(limiter: AttemptLimiter, keys: readonly AttemptKey[], tries: number): Promise<number> {
  const results = await times(tries, () =>
    limiter.take(keys).then(
      () => true,
      () => false,
    ),
  );
  return results.filter(Boolean).length;
}

describe("the default limits", () => {
  test.each([
    ["password", 10, "TOO_MANY_ATTEMPTS", 900],
    ["address", 30, "TOO_MANY_ATTEMPTS", 900],
    ["begin", 60, "RATE_LIMITED", 60],
  ] as const)("%s: %d tries, then %s", async (limit, count, code, seconds) => {
    const limiter = await Attempts.open(s.database);
    const key = newKey(limit);
    expect(await takenOf(limiter, [key], count + 15)).toBe(count);
    const refusal = await limiter.take([key]).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code });
    const { retryAfterSeconds } = refusal as { retryAfterSeconds: number };
    expect(retryAfterSeconds).toBeGreaterThan(seconds - 60);
    expect(retryAfterSeconds).toBeLessThanOrEqual(seconds);
  });
});

test("several keys are taken all or none", async () => {
  const limiter = await Attempts.open(s.database);
  const [address, password] = [newKey("address"), newKey("password")];
  expect(await takenOf(limiter, [address, password], 12)).toBe(10);
  // The two refused ones cost the address nothing: 20 of its 30 are left.
  expect(await takenOf(limiter, [address], 40)).toBe(20);
});

test("checking refuses as taking would, and takes nothing", async () => {
  const limiter = await Attempts.open(s.database);
  const keys = [newKey(), newKey("address")];
  for (let i = 0; i < 20; i++) await limiter.check(keys);
  expect(await takenOf(limiter, keys, 12)).toBe(10);
  await expect(limiter.check(keys)).rejects.toMatchObject({ code: "TOO_MANY_ATTEMPTS" });
  const { retryAfterSeconds } = (await limiter.check(keys).catch((error: unknown) => error)) as {
    retryAfterSeconds: number;
  };
  expect(retryAfterSeconds).toBeGreaterThan(800);
  await limiter.giveBack(keys);
  await limiter.check(keys);
});

test("what is given back can be taken again", async () => {
  const limiter = await Attempts.open(s.database);
  const key = newKey();
  await limiter.take([key]);
  await limiter.giveBack([key]);
  expect(await takenOf(limiter, [key], 12)).toBe(10);
});

test("counts are shared by replicas and kept apart by key and kind", async () => {
  const [one, two] = await times(2, () => Attempts.open(s.database));
  const key = newKey();
  expect(await takenOf(one ?? UNLIMITED, [key], 6)).toBe(6);
  expect(await takenOf(two ?? UNLIMITED, [key], 6)).toBe(4);
  expect(await takenOf(UNLIMITED, [key], 6)).toBe(6);
  await one?.take([{ ...key, limit: "address" }]);
  await one?.take([newKey()]);
});

test("a limit ends with its window", async () => {
  const limit = { count: 1, seconds: 60 };
  const limiter = await Attempts.open(s.database, { password: limit, address: limit, begin: limit });
  const key = newKey();
  expect(await takenOf(limiter, [key], 3)).toBe(1);
  await sql`update attempts set expire = expire - 60000`.execute(s.database.em().getKysely());
  expect(await takenOf(limiter, [key], 3)).toBe(1);
});
