/**
 * How much there is in all, and how much of it lies in each bucket. Counting the rows of the chunk map took 0.3 s for 1.5 million of them on two cores, so
 * 2 s for ten million, at every look: triggers count instead (`migrations/0003-reading.ts`), exact in any transaction.
 */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { BucketUsage, FileTotals } from "../core/catalogue.js";
import { integer } from "./rows.js";

export async function readUsage(em: EntityManager): Promise<readonly BucketUsage[]> {
  const { rows } = await sql<{ bucket_id: number; chunk_count: string; stored_bytes: string }>`
    select bucket_id, sum(chunk_count) as chunk_count, sum(stored_bytes) as stored_bytes
    from (select * from bucket_totals union all select * from bucket_changes) as counted
    group by bucket_id having sum(chunk_count) <> 0
    order by bucket_id`.execute(em.getKysely());
  return rows.map(row => ({
    bucketId: row.bucket_id,
    chunkCount: integer(row.chunk_count),
    storedBytes: integer(row.stored_bytes),
  }));
}

/** A file past its expiry counts no more, whether or not the sweep has come by; nor does such an upload. */
export async function readTotals(em: EntityManager): Promise<FileTotals> {
  const { rows } = await sql<Record<keyof FileTotals, string>>`
    select count(*) as "fileCount", coalesce(sum(plain_bytes), 0) as "plainBytes",
      count(*) filter (where status = 'degraded') as "degradedFileCount",
      count(*) filter (where status = 'unavailable') as "unavailableFileCount",
      (select count(*) from uploads where stage = 'receiving' and expires_at > now()) as "uploadsUnderWay"
    from files
    where status <> 'gone' and (coalesce(expires_at > now(), true) or coalesce(retain_until > now(), false))`.execute(
    em.getKysely(),
  );
  const [totals] = rows;
  return {
    fileCount: integer(totals?.fileCount ?? 0),
    plainBytes: integer(totals?.plainBytes ?? 0),
    degradedFileCount: integer(totals?.degradedFileCount ?? 0),
    unavailableFileCount: integer(totals?.unavailableFileCount ?? 0),
    uploadsUnderWay: integer(totals?.uploadsUnderWay ?? 0),
  };
}

/** Adds the changes up, so that {@link readUsage} stays short. One statement: no reader sees a change twice or never. */
export async function foldUsage(em: EntityManager): Promise<void> {
  await sql`
    with taken as (
      delete from bucket_changes returning bucket_id, chunk_count, stored_bytes
    )
    insert into bucket_totals as t
    select bucket_id, sum(chunk_count), sum(stored_bytes) from taken group by bucket_id order by bucket_id
    on conflict (bucket_id) do update set
      chunk_count = t.chunk_count + excluded.chunk_count,
      stored_bytes = t.stored_bytes + excluded.stored_bytes`.execute(em.getKysely());
}
