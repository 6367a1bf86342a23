import { describe, expect, test } from "@jest/globals";
import type { BucketStep } from "../../src/core/ports.js";
import { DatabaseClock } from "../../src/database/clock.js";
import { append, beginUpload, commitOf, newChunk, newRef, some, stores, times } from "./fixture.js";

const NOTHING = {
  chunkCount: 0,
  storedBytes: 0,
  manifestCount: 0,
  tailCount: 0,
  reservedCount: 0,
  deadCount: 0,
};

const s = stores();
const gcs = (name: string, region: string | null = null) => ({
  name,
  provider: "gcs" as const,
  region,
  domain: null,
});
const anyStep = () => {};

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
  expect(await s.buckets.update(id, { state: "draining", weight: 0 }, anyStep)).toMatchObject({
    state: "draining",
    weight: 0,
  });
  expect(await s.buckets.update(id, {}, anyStep)).toMatchObject({ state: "draining" });
  expect((await s.buckets.register([gcs("gs://a")]))[0]).toMatchObject({ state: "draining", weight: 0 });
  expect(await s.buckets.update(999, { weight: 5 }, anyStep)).toBeNull();
  await expect(s.buckets.update(id, { weight: -1 }, anyStep)).rejects.toThrow(/check/);
});

test("a failure domain is what the service was started with", async () => {
  const disk = { ...gcs("file:///d"), provider: "disk" as const };
  await s.buckets.register([{ ...disk, domain: "rack-1" }]);
  const domains = async () => (await s.buckets.list()).map(({ name, domain }) => [name, domain]);
  expect(await domains()).toContainEqual(["file:///d", "rack-1"]);
  await s.buckets.register([disk]);
  expect(await domains()).toContainEqual(["file:///d", null]);
});

test("the rule of a change sees what would be, and what it throws leaves all as it was", async () => {
  const [one, ...rest] = await s.buckets.register([gcs("gs://a"), gcs("gs://b")]);
  const before = some(one);
  const seen: BucketStep[] = [];
  const refuse = (step: BucketStep) => {
    seen.push(step);
    throw new Error("not this one");
  };
  await expect(s.buckets.update(before.id, { weight: 7 }, refuse)).rejects.toThrow("not this one");
  expect(seen).toEqual([{ before, after: { ...before, weight: 7 }, others: rest, contents: NOTHING }]);
  expect((await s.buckets.list())[0]).toEqual(before);
});

describe("the contents of a bucket", () => {
  test("are its chunks, tails, reservations that may be committed, and dead objects", async () => {
    const upload = await beginUpload(s);
    const tail = { ...newRef(1), plainBytes: 5 };
    await append(s, commitOf(upload, 1005, [newChunk(0, 0), newChunk(0, 1)], tail));
    await s.chunkMap.reserve(upload.id, upload.lease, [newRef(1), newRef(2)]);
    const held = { ...NOTHING, chunkCount: 1, storedBytes: 1024, tailCount: 1, reservedCount: 1 };
    expect(await s.buckets.contents(1)).toEqual(held);
    await s.uploads.lease(upload.id, { offset: 1005 });
    expect(await s.buckets.contents(1)).toEqual({ ...held, reservedCount: 0 });
    await s.uploads.end(upload.id, "abandoned");
    expect(await s.buckets.contents(1)).toEqual({ ...NOTHING, deadCount: 2 });
  });
});

test("the clock is the database's", async () => {
  const now = await new DatabaseClock(s.database).now();
  expect(Math.abs(now.getTime() - Date.now())).toBeLessThan(1000); // here both are this machine's
});
