import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import type { ChunkRecord } from "../../src/core/model.js";
import { MoveRows } from "../../src/database/moves.js";
import {
  append,
  beginUpload,
  claim,
  commitOf,
  newChunk,
  newFile,
  newRef,
  objectCount,
  run,
  some,
  stores,
  times,
} from "./fixture.js";

const s = stores();
const moves = () => new MoveRows(s.database);
const HOLD_SECONDS = 60;
const FIRST = { fileId: "00000000-0000-0000-0000-000000000000", stripe: 0, shard: 0 };

afterEach(() => run(s, "truncate uploads, files, grants, chunks, pending_objects, dead_objects"));

/** A file of one stripe in the buckets 1, 2 and 3, and the chunk in bucket 1. */
async function placed() {
  const { id: fileId } = await newFile(s);
  return { fileId, ...some((await s.chunkMap.chunks(fileId, 0, 0))[0]) };
}

async function swap(from: ChunkRecord & { fileId: string }, bucketId = 9, { isReserved = true } = {}) {
  const to = newRef(bucketId);
  if (isReserved) await moves().reserve(to, HOLD_SECONDS);
  return {
    to,
    isSwapped: await moves().swapChunk({ from, to, keepSeconds: 0, idleSeconds: 3600, mostInBucket: 1 }),
  };
}

describe("a swap", () => {
  test("names the new object, declares the old one dead, and ends the reservation", async () => {
    const chunk = await placed();
    const { to, isSwapped } = await swap(chunk);
    expect(isSwapped).toBe(true);
    expect((await s.chunkMap.chunks(chunk.fileId, 0, 0))[0]).toMatchObject({ ...to, digest: chunk.digest });
    expect(await objectCount(s, "pending_objects")).toBe(0);
    expect(await claim(s, 10)).toEqual([]); // the manifest names it still
    await run(s, "delete from superseded_objects"); // as a newer manifest does
    expect(await claim(s, 10)).toEqual([{ bucketId: chunk.bucketId, objectKey: chunk.objectKey }]);
  });

  test.each([
    [
      "the row names another object by now",
      async (chunk: ChunkRecord & { fileId: string }) => void (await swap(chunk, 8)),
    ],
    [
      "the file was deleted",
      async ({ fileId }: { fileId: string }) => void (await s.files.shred(fileId, "asked")),
    ],
    [
      "the sweep has taken the reservation",
      () => run(s, "update pending_objects set held_until = now() - interval '1 s'"),
    ],
  ])("changes nothing when %s", async (_, meanwhile) => {
    const chunk = await placed();
    const to = newRef(9);
    await moves().reserve(to, HOLD_SECONDS);
    await meanwhile(chunk);
    await claim(s, 100);
    const before = [await s.chunkMap.chunks(chunk.fileId, 0, 0), await objectCount(s, "dead_objects")];
    expect(
      await moves().swapChunk({ from: chunk, to, keepSeconds: 0, idleSeconds: 0, mostInBucket: 1 }),
    ).toBe(false);
    expect([await s.chunkMap.chunks(chunk.fileId, 0, 0), await objectCount(s, "dead_objects")]).toEqual(
      before,
    );
  });

  test("changes nothing when another chunk of the stripe lies in that bucket", async () => {
    const chunk = await placed();
    expect((await swap(chunk, 2)).isSwapped).toBe(false);
    expect((await s.chunkMap.chunks(chunk.fileId, 0, 0))[0]).toMatchObject({ objectKey: chunk.objectKey });
    expect(await objectCount(s, "dead_objects")).toBe(0);
  });

  test("of two chunks of a stripe to the same bucket at once succeeds for one of them", async () => {
    for (let i = 0; i < 20; i++) {
      const { id: fileId } = await newFile(s);
      const [one, other] = (await s.chunkMap.chunks(fileId, 0, 0)).map(row => ({ fileId, ...row }));
      const swapped = await Promise.all([swap(some(one)), swap(some(other))]);
      expect(swapped.filter(({ isSwapped }) => isSwapped)).toHaveLength(1);
    }
  });

  test("of one chunk by ten at once succeeds once", async () => {
    const chunk = await placed();
    const swapped = await times(10, () => swap(chunk));
    expect(swapped.filter(({ isSwapped }) => isSwapped)).toHaveLength(1);
    expect(await objectCount(s, "pending_objects")).toBe(9);
    expect(await objectCount(s, "dead_objects")).toBe(1);
  });

  test("of a stripe that is being filled waits for its writer, and ends the lease of an idle one", async () => {
    const upload = await beginUpload(s);
    const chunk = { ...newChunk(0, 0), fileId: upload.id };
    await append(s, commitOf(upload, 1000, [chunk]));
    expect(await moves().chunks(1, FIRST, 10, 3600)).toEqual([]);
    expect((await swap(chunk)).isSwapped).toBe(false);
    await run(s, "update uploads set leased_at = now() - interval '2 hours'");
    expect(await moves().chunks(1, FIRST, 10, 3600)).toMatchObject([{ objectKey: chunk.objectKey }]);
    expect((await swap(chunk)).isSwapped).toBe(true);
    expect(await s.chunkMap.commit({ ...commitOf(upload, 1000, []), fromOffset: 1000 })).toBe(false);
  });
});

test("a swap in a stripe that is being opened again waits for that, and then leaves the stripe to its writer", async () => {
  const upload = await beginUpload(s);
  const chunks = [0, 1, 2].map(shard => newChunk(0, shard));
  await append(s, commitOf(upload, 2000, chunks));
  let swapping: ReturnType<typeof swap> | undefined;
  await s.database.transaction(async em => {
    const db = em.getKysely();
    await sql`select from uploads where id = ${upload.id} for update`.execute(db); // as its commit begins
    swapping = swap({ ...some(chunks[0]), fileId: upload.id });
    while ((await waiting()) === 0) await sleep(5);
    await sql`delete from chunks where file_id = ${upload.id} and shard > 0`.execute(db);
  });
  expect((await swapping)?.isSwapped).toBe(false);
});

/** Transactions that wait for another one. */
async function waiting(): Promise<number> {
  const { rows } = await sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
    s.database.em().getKysely(),
  );
  return rows.length;
}

describe("pages of a bucket", () => {
  async function inPagesOf(limit: number): Promise<string[]> {
    const seen: string[] = [];
    for (let after = FIRST; ; ) {
      const page = await moves().chunks(2, after, limit, 3600);
      seen.push(...page.map(({ fileId, stripe, shard }) => `${fileId} ${stripe} ${shard}`));
      const last = page.at(-1);
      if (!last) return seen;
      after = last;
    }
  }

  test("have its chunks alone, in order, each once", async () => {
    const files = await times(7, () => newFile(s, 5));
    const all = files.flatMap(({ id }) => [0, 1, 2, 3, 4].map(stripe => `${id} ${stripe} 1`));
    expect(await inPagesOf(4)).toEqual(all.sort());
  });

  test("have both chunks of a stripe that lie there together, wherever a page ends", async () => {
    const files = await times(3, () => newFile(s, 2));
    await run(s, "update chunks set bucket_id = 2 where shard = 0");
    const all = files.flatMap(({ id }) => ["0 0", "0 1", "1 0", "1 1"].map(place => `${id} ${place}`));
    for (const limit of [1, 3]) expect(await inPagesOf(limit)).toEqual([...all].sort());
  });
});
