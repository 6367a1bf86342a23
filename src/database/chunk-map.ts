/**
 * Which object in which bucket is which chunk of which file. The data plane: plain SQL over arrays, so that a commit
 * has the same few statements for one chunk as for a thousand.
 */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ChunkRecord, ObjectRef } from "../core/model.js";
import type { ChunkMap, Commit } from "../core/ports.js";
import { buryTail } from "./dead-objects.js";
import type { Database } from "./orm.js";
import type { ObjectRow } from "./rows.js";
import { bytes, objectColumns, toObjectRef } from "./rows.js";

/** What `state` says of a chunk's object, by its number in the column. */
export const CHUNK_STATES = ["stored", "missing", "corrupt"] as const;

export class ChunkRows implements ChunkMap {
  constructor(private readonly database: Database) {}

  async reserve(uploadId: FileId, lease: number, objects: readonly ObjectRef[]): Promise<void> {
    const { bucketIds, objectKeys } = objectColumns(objects);
    await sql`
      insert into pending_objects (bucket_id, object_key, upload_id, lease)
      select o.bucket_id, o.object_key, ${uploadId}, ${lease}
      from unnest(${bucketIds}::smallint[], ${objectKeys}::uuid[]) as o (bucket_id, object_key)`.execute(
      this.database.em().getKysely(),
    );
  }

  commit(commit: Commit): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      // Compare: one writer at a time gets past here, and the row stays locked until the swap is durable.
      const held = await sql`
        select from uploads
        where id = ${commit.uploadId} and lease = ${commit.lease} and "offset" = ${commit.fromOffset}
          and stage = 'receiving'
        for update`.execute(db);
      if (held.rows.length !== 1) return false;

      // In this order: the old tail dies before the row that names it is changed.
      await buryTail(em, commit.uploadId);
      await sql`
        update uploads set
          "offset" = ${commit.toOffset},
          length = coalesce(length, ${commit.length}::bigint),
          tail_bucket_id = ${commit.tail?.bucketId ?? null},
          tail_object_key = ${commit.tail?.objectKey ?? null},
          tail_plain_bytes = ${commit.tail?.plainBytes ?? null},
          leased_at = now(),
          expires_at = now() + make_interval(secs => ${commit.ttlSeconds})
        where id = ${commit.uploadId}`.execute(db);
      await insertChunks(em, commit.uploadId, commit.chunks);
      const { chunks, tail } = commit;
      await clearPending(em, commit, tail ? [...chunks, tail] : chunks);
      return true;
    });
  }

  async chunks(fileId: FileId, fromStripe: number, toStripe: number): Promise<readonly ChunkRecord[]> {
    const { rows } = await sql<ChunkRow>`
      select stripe, shard, bucket_id, object_key, stored_bytes, digest from chunks
      where file_id = ${fileId} and stripe between ${fromStripe} and ${toStripe}
      order by stripe, shard`.execute(this.database.em().getKysely());
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
  const { bucketIds, objectKeys } = objectColumns(chunks);
  await sql`
    insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest)
    select ${fileId}, c.* from unnest(
      ${chunks.map(c => c.stripe)}::int[], ${chunks.map(c => c.shard)}::smallint[], ${bucketIds}::smallint[],
      ${objectKeys}::uuid[], ${chunks.map(c => c.storedBytes)}::int[], ${chunks.map(c => c.digest)}::bytea[]
    ) as c`.execute(em.getKysely());
}

/** Every object that is now named must have been pending under this very lease, or the sweep could have taken it. */
export async function clearPending(
  em: EntityManager,
  { uploadId, lease }: { uploadId: FileId; lease: number },
  named: readonly ObjectRef[],
): Promise<void> {
  if (named.length === 0) return;
  const { bucketIds, objectKeys } = objectColumns(named);
  const cleared = await sql`
    delete from pending_objects p
    using unnest(${bucketIds}::smallint[], ${objectKeys}::uuid[]) as o (bucket_id, object_key)
    where p.bucket_id = o.bucket_id and p.object_key = o.object_key
      and p.upload_id = ${uploadId} and p.lease = ${lease}
    returning p.bucket_id`.execute(em.getKysely());
  if (cleared.rows.length !== named.length) {
    throw new Error(`upload ${uploadId}: ${cleared.rows.length} of ${named.length} objects were pending`);
  }
}
