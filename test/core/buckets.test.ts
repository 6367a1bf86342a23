import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import type { BucketState } from "../../src/core/model.js";
import { newObjectKey } from "../../src/core/scatter.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const STATES: readonly BucketState[] = ["active", "read_only", "draining", "disabled"];

let vault: Vault;
beforeAll(async () => {
  vault = await openVault({ bucketCount: 3 });
});
afterAll(() => vault.close());

const store = (chunks: number) =>
  vault.store(bytesOf(chunks * (CHUNK_BYTES - 32), chunks), { chunkBytes: CHUNK_BYTES });

async function reset(): Promise<number[]> {
  const buckets = await vault.steering.list();
  for (const { id } of buckets) await vault.steering.change(id, { state: "active", weight: 1 });
  return buckets.map(({ id }) => id);
}

/** Chunks that a new file has in each bucket. */
async function shares(chunks: number): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  const file = await store(chunks);
  for (const { bucketId } of await vault.chunkMap.chunks(file.id, 0, chunks))
    counts.set(bucketId, (counts.get(bucketId) ?? 0) + 1);
  return counts;
}

describe("new chunks", () => {
  test("never go to a bucket that is not active, from the moment of the change on", async () => {
    const [id = 0] = await reset();
    for (const state of ["read_only", "draining"] as const) {
      await vault.steering.change(id, { state });
      expect((await shares(60)).get(id)).toBeUndefined();
    }
  });

  test("never go to a bucket of weight 0, and come again with another", async () => {
    const [id = 0] = await reset();
    await vault.steering.change(id, { weight: 0 });
    expect((await shares(60)).get(id)).toBeUndefined();
    await vault.steering.change(id, { weight: 1 });
    expect((await shares(60)).get(id)).toBeGreaterThan(0);
  });

  test("do not go where they were to go when the bucket began to drain under a slow upload", async () => {
    const ids = await reset();
    const plain = bytesOf(40 * (CHUNK_BYTES - 32), 4);
    const { upload, token } = await vault.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
    const [id = 0] = ids;
    async function* slow() {
      yield plain.subarray(0, 20 * (CHUNK_BYTES - 32)); // by now objects are reserved far ahead
      await vault.settled();
      await vault.steering.change(id, { state: "draining" });
      const puts = vault.faulty[0]?.calls.put;
      yield plain.subarray(20 * (CHUNK_BYTES - 32));
      await vault.settled();
      expect(vault.faulty[0]?.calls.put).toBe(puts);
    }
    await vault.uploads.append(token, 0, slow(), { lastByte: "by-length" });
    const late = await vault.chunkMap.chunks(upload.id, 22, 100);
    expect(late.length).toBeGreaterThan(10);
    expect(late.map(row => row.bucketId)).not.toContain(id);
  });
});

describe("a bucket", () => {
  test("that holds a chunk, or is reserved by a writer, is not disabled; an empty one is", async () => {
    const [id = 0] = await reset();
    const { upload } = await vault.begin({ chunkBytes: CHUNK_BYTES });
    await expect(vault.steering.change(id, { state: "disabled" })).rejects.toMatchObject({
      code: "BUCKET_IN_USE",
    });
    await vault.sql("delete from chunks");
    await vault.sql("delete from manifest_objects");
    await vault.sql("delete from pending_objects");
    await vault.chunkMap.reserve(upload.id, 0, [{ bucketId: id, objectKey: newObjectKey() }]);
    await expect(vault.steering.change(id, { state: "disabled" })).rejects.toMatchObject({
      code: "BUCKET_IN_USE",
    });
    await vault.sql("delete from pending_objects");
    expect(await vault.steering.change(id, { state: "disabled" })).toMatchObject({ state: "disabled" });
  });

  test.each([{ state: "read_only" }, { state: "draining" }, { weight: 0 }] as const)(
    "stays as it is when no other takes chunks: %j",
    async change => {
      const [id = 0, ...others] = await reset();
      for (const other of others) await vault.steering.change(other, { state: "read_only" });
      await expect(vault.steering.change(id, change)).rejects.toMatchObject({ code: "BUCKET_IN_USE" });
      expect((await vault.steering.list()).find(bucket => bucket.id === id)).toMatchObject({
        state: "active",
        weight: 1,
      });
    },
  );

  test("remains for new chunks whatever many administrators do at once", async () => {
    const ids = await reset();
    const changes = ids.flatMap(id => STATES.slice(1, 3).map(state => vault.steering.change(id, { state })));
    const codes = (await Promise.allSettled(changes)).map(result =>
      result.status === "fulfilled" ? "changed" : result.reason.code,
    );
    expect(codes).toContain("BUCKET_IN_USE");
    expect((await vault.steering.list()).filter(({ state }) => state === "active")).toHaveLength(1);
  });

  test.each([-1, 1.5, 10_001, Number.NaN])("has no weight of %d", async weight => {
    const [id = 0] = await reset();
    await expect(vault.steering.change(id, { weight })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      field: "weight",
    });
  });

  test("that is not there is not found", async () => {
    await expect(vault.steering.change(999, { weight: 2 })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

test("a change reaches another replica within ten seconds", async () => {
  const [id = 0] = await reset();
  const elsewhere = await vault.replica();
  await vault.steering.change(id, { state: "draining" });
  const now = jest.spyOn(performance, "now").mockReturnValue(performance.now() + 10_001);
  try {
    expect(await elsewhere.isCandidate(id)).toBe(false);
  } finally {
    now.mockRestore();
  }
});
