import { expect, test } from "@jest/globals";
import { DatabaseClock } from "../../src/database/clock.js";
import { stores, times } from "./fixture.js";

const s = stores();
const gcs = (name: string, region: string | null = null) => ({ name, provider: "gcs" as const, region });

test("buckets keep their numbers, and starting again or at once uses up none", async () => {
  const first = await s.buckets.register([gcs("gs://a"), gcs("gs://b", "eu")]);
  expect(first).toMatchObject([
    { id: 1, name: "gs://a", provider: "gcs", region: null, state: "active", weight: 1 },
    { id: 2, name: "gs://b", region: "eu" },
  ]);
  await times(10, () => s.buckets.register([gcs("gs://b", "us"), gcs("gs://a")]));
  const later = await s.buckets.register([gcs("gs://c")]);
  expect(later.map(bucket => bucket.id)).toEqual([1, 2, 3]);
  expect(later[1]?.region).toBe("us");
  expect(await s.buckets.register([])).toEqual(later);
  expect(await s.buckets.list()).toEqual(later);
});

test("what an administrator sets stays when the service starts again", async () => {
  const [bucket] = await s.buckets.register([gcs("gs://a")]);
  const id = bucket?.id ?? 0;
  expect(await s.buckets.update(id, { state: "draining", weight: 0 })).toMatchObject({
    state: "draining",
    weight: 0,
  });
  expect(await s.buckets.update(id, {})).toMatchObject({ state: "draining" });
  expect((await s.buckets.register([gcs("gs://a")]))[0]).toMatchObject({ state: "draining", weight: 0 });
  expect(await s.buckets.update(999, { weight: 5 })).toBeNull();
  await expect(s.buckets.update(id, { weight: -1 })).rejects.toThrow(/check/);
});

test("the clock is the database's", async () => {
  const now = await new DatabaseClock(s.database).now();
  expect(Math.abs(now.getTime() - Date.now())).toBeLessThan(1000); // here both are this machine's
});
