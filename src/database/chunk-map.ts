/**
 * Which object in which bucket is which chunk of which file. The data plane: plain SQL over arrays, so that a commit
 * has the same few statements for one chunk as for a thousand.
 */
import type { EntityManager } from "@mikro-orm/postgresql";
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ChunkRecord, ObjectRef } from "../core/model.js";
import type { ChunkMap, Commit } from "../core/ports.js";
import type { Database } from "./orm.js";
import { runPrepared } from "./prepared.js";
import type { ObjectRow } from "./rows.js";
import { ALWAYS, bytes, objectColumns, toObjectRef, unnested } from "./rows.js";

/** What `state` says of a chunk's object, by its number in the column. */
export const CHUNK_STATES = ["stored", "missing", "corrupt"] as const;

export class ChunkRows implements ChunkMap {
  constructor(private readonly database: Database) {}

  async reserve(uploadId: FileId, lease: number, objects: readonly ObjectRef[]): Promise<void> {
    await runPrepared(
      this.database.em(),
      sql`
        insert into pending_objects (bucket_id, object_key, upload_id, lease)
        select o.bucket_id, o.object_key, ${uploadId}, ${lease}
        from ${unnested(objects)}`,
    );
  }

  /** In one statement: a server with many uploads under way runs this more often than any other. */
  commit(commit: Commit): Promise<boolean> {
    const { uploadId, lease, chunks, tail } = commit;
    const named = tail ? [...chunks, tail] : chunks;
    const reopened = commit.reopens ? sql`${reopening(uploadId, commit.reopens)},` : sql``;
    return this.database.transaction(async em => {
      // Compare: one writer at a time gets past `held`, and the row stays locked until the swap is durable.
      const statement = sql<{ is_held: boolean; cleared: string }>`
        with held as (
          select tail_bucket_id, tail_object_key from uploads
          where id = ${uploadId} and lease = ${lease} and "offset" = ${commit.fromOffset} and stage = 'receiving'
          for update
        ), buried as (
          insert into dead_objects (bucket_id, object_key)
          select tail_bucket_id, tail_object_key from held where tail_object_key is not null
        ), swapped as (
          update uploads set
            "offset" = ${commit.toOffset},
            length = coalesce(length, ${commit.length}::bigint),
            tail_bucket_id = ${tail?.bucketId ?? null},
            tail_object_key = ${tail?.objectKey ?? null},
            tail_plain_bytes = ${tail?.plainBytes ?? null},
            leased_at = now(),
            expires_at = now() + make_interval(secs => ${commit.ttlSeconds})
          from held where id = ${uploadId}
        ), ${reopened} added as (
          ${adding(uploadId, chunks, sql`held`)}
        ), cleared as (
          ${clearingPending(commit, named, sql`held`)}
        )
        select exists (select from held) as is_held, (select count(*) from cleared) as cleared`;
      const [done] = await runPrepared(em, statement);
      if (!done?.is_held) return false;
      requirePending(uploadId, Number(done.cleared), named);
      return true;
    });
  }

  async chunks(fileId: FileId, fromStripe: number, toStripe: number): Promise<readonly ChunkRecord[]> {
    const rows = await runPrepared(
      this.database.em(),
      sql<ChunkRow>`
        select stripe, shard, bucket_id, object_key, stored_bytes, digest from chunks
        where file_id = ${fileId} and stripe between ${fromStripe} and ${toStripe}
        order by stripe, shard`,
    );
    return rows.map(toChunkRecord);
  }
}

export interface ChunkRow extends ObjectRow {
  readonly stripe: number;
  readonly shard: number;
  readonly stored_bytes: number;
  readonly digest: Uint8Array;
}

export function toChunkRecord(row: ChunkRow): ChunkRecord {
  return {
    ...toObjectRef(row),
    stripe: row.stripe,
    shard: row.shard,
    storedBytes: row.stored_bytes,
    digest: bytes(row.digest),
  };
}

export async function insertChunks(
  em: EntityManager,
  fileId: FileId,
  chunks: readonly ChunkRecord[],
): Promise<void> {
  if (chunks.length === 0) return;
  await adding(fileId, chunks, ALWAYS).execute(em.getKysely());
}

function reopening(
  uploadId: FileId,
  { stripe, shard, parityFrom }: NonNullable<Commit["reopens"]>,
): RawBuilder<unknown> {
  return sql`
    reopened as (
      delete from chunks using held
      where file_id = ${uploadId} and stripe = ${stripe} and (shard = ${shard} or shard >= ${parityFrom})
      returning bucket_id, object_key
    ), dead as (
      insert into dead_objects (bucket_id, object_key) select bucket_id, object_key from reopened
    )`;
}

/** The statement that writes chunk rows, also for a part of another one; none while `held` has no row. */
function adding(
  fileId: FileId,
  chunks: readonly ChunkRecord[],
  held: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { bucketIds, objectKeys } = objectColumns(chunks);
  return sql`
    insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest)
    select ${fileId}, c.* from ${held}, unnest(
      ${chunks.map(c => c.stripe)}::int[], ${chunks.map(c => c.shard)}::smallint[], ${bucketIds}::smallint[],
      ${objectKeys}::uuid[], ${chunks.map(c => c.storedBytes)}::int[], ${chunks.map(c => c.digest)}::bytea[]) as c`;
}

/**
 * Whoever names objects takes them off the pending ones, in the same statement or transaction. A row for each that was
 * pending under this very lease, which {@link requirePending} counts; none at all while `held` has no row.
 */
export function clearingPending(
  { uploadId, lease }: { uploadId: FileId; lease: number },
  named: readonly ObjectRef[],
  held: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    delete from pending_objects p
    using ${held}, ${unnested(named)}
    where p.bucket_id = o.bucket_id and p.object_key = o.object_key
      and p.upload_id = ${uploadId} and p.lease = ${lease}
    returning 1`;
}

/** Every object that is now named must have been pending under the writer's lease, or the sweep could have taken it. */
export function requirePending(uploadId: FileId, cleared: number, named: readonly ObjectRef[]): void {
  if (cleared === named.length) return;
  throw new Error(`upload ${uploadId}: ${cleared} of ${named.length} objects were pending`);
}
