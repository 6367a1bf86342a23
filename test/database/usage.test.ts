import { afterEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { sql } from "kysely";
import type { BucketUsage } from "../../src/core/catalogue.js";
import { append, beginUpload, commitOf, newChunk, newFile, run, stores, times } from "./fixture.js";

const s = stores();

afterEach(() => run(s, "delete from chunks"));

/** What the rows themselves say. */
async function counted(): Promise<BucketUsage[]> {
  const { rows } = await sql<{ bucket_id: number; chunk_count: string; stored_bytes: string }>`
    select bucket_id, count(*) as chunk_count, sum(stored_bytes) as stored_bytes from chunks
    group by bucket_id order by bucket_id`.execute(s.database.em().getKysely());
  return rows.map(row => ({
    bucketId: row.bucket_id,
    chunkCount: Number(row.chunk_count),
    storedBytes: Number(row.stored_bytes),
  }));
}

/** The sweep's first step, which adds the changes up. */
const fold = () => s.expiries.expired(1);

describe("usage", () => {
  test("is empty where nothing is stored, and leaves out a bucket that holds nothing any more", async () => {
    expect(await s.catalogue.usage()).toEqual([]);
    const file = await newFile(s, 2);
    expect(await s.catalogue.usage()).toEqual(
      [1, 2, 3].map(bucketId => ({ bucketId, chunkCount: 2, storedBytes: 2048 })),
    );
    await s.files.shred(file.id, "asked");
    expect(await s.catalogue.usage()).toEqual([]);
  });

  test("counts the chunks of uploads under way, and not those of a commit that was refused", async () => {
    const upload = await beginUpload(s);
    await append(s, commitOf(upload, 100, [newChunk(0, 0)]));
    await expect(append(s, commitOf(upload, 100, [newChunk(1, 0)]))).resolves.toBe(false);
    expect(await s.catalogue.usage()).toEqual([{ bucketId: 1, chunkCount: 1, storedBytes: 1024 }]);
  });

  test("is what the rows say after any changes, whenever the sweep comes by", async () => {
    const change = fc.constantFrom("store", "shred", "move", "resize", "mark", "fold");
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 12 }), async changes => {
        const files: string[] = [];
        for (const what of changes) {
          if (what === "store") files.push((await newFile(s, 1 + files.length)).id);
          if (what === "shred")
            await s.files.shred(files.pop() ?? "00000000-0000-4000-8000-000000000000", "asked");
          if (what === "move") await run(s, "update chunks set bucket_id = bucket_id + 10 where shard = 1");
          if (what === "resize") await run(s, "update chunks set stored_bytes = 7 where stripe = 0");
          if (what === "mark") await run(s, "update chunks set state = 2");
          if (what === "fold") await fold();
          expect(await s.catalogue.usage()).toEqual(await counted());
        }
      }),
      { numRuns: 25 },
    );
  });

  test("loses and repeats nothing when sweeps and commits run at once", async () => {
    await Promise.all([times(20, () => newFile(s, 3)), times(10, fold)]);
    await fold();
    expect(await s.catalogue.usage()).toEqual(await counted());
    const { rows } = await sql`select from bucket_changes`.execute(s.database.em().getKysely());
    expect(rows).toEqual([]);
  });
});
