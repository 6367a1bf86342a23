/** Moving objects: what lies in a bucket, and the swap of one row from an object to another. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { BucketId, ObjectRef } from "../core/model.js";
import type {
  BucketListing,
  ChunkMove,
  ChunkPlace,
  ListedChunk,
  Move,
  Moves,
  PlacedChunk,
  PlacedTail,
} from "../core/moves.js";
import type { ChunkRow } from "./chunk-map.js";
import { toChunkRecord } from "./chunk-map.js";
import type { Database } from "./orm.js";
import type { ObjectRow } from "./rows.js";
import { toObjectRef } from "./rows.js";

/** The upload still has chunks of this stripe to come, and its writer knows where they will go. Of aliases `u`, `c`. */
const IS_BEING_FILLED = sql`
  u.stage = 'receiving' and u.data_chunks + u.parity_chunks >
    (select count(*) from chunks o where o.file_id = c.file_id and o.stripe = c.stripe)`;

export class MoveRows implements Moves, BucketListing {
  constructor(private readonly database: Database) {}

  /** In the order of `chunks_by_bucket`: it alone finds them, and the few of one stripe are put in order after it. */
  async chunks(
    bucketId: BucketId,
    after: ChunkPlace,
    limit: number,
    idleSeconds: number,
  ): Promise<readonly ListedChunk[]> {
    const { rows } = await sql<ChunkRow & { file_id: FileId; parity_chunks: number | null }>`
      select c.file_id, c.stripe, c.shard, c.bucket_id, c.object_key, c.stored_bytes, c.digest, o.parity_chunks
      from chunks c left join uploads o on o.id = c.file_id and o.stage = 'receiving'
      where c.bucket_id = ${bucketId}
        and (c.file_id, c.bucket_id, c.stripe, c.shard) >
          (${after.fileId}::uuid, ${bucketId}::smallint, ${after.stripe}::int, ${after.shard}::smallint)
        and not exists (
          select from uploads u where u.id = c.file_id and not ${isIdle(idleSeconds)} and ${IS_BEING_FILLED})
      order by c.file_id, c.bucket_id, c.stripe, c.shard limit ${limit}`.execute(
      this.database.em().getKysely(),
    );
    return rows.map(row => {
      const { file_id: fileId, parity_chunks: parityChunks } = row;
      const upload = parityChunks === null ? null : { id: fileId, parityChunks };
      return { ...toChunkRecord(row), fileId, upload };
    });
  }

  async tails(bucketId: BucketId, limit: number): Promise<readonly PlacedTail[]> {
    const { rows } = await sql<ObjectRow & { upload_id: FileId; plain_bytes: number }>`
      select id as upload_id, tail_bucket_id as bucket_id, tail_object_key as object_key,
        tail_plain_bytes as plain_bytes
      from uploads where stage = 'receiving' and tail_bucket_id = ${bucketId}
      limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(row => ({ ...toObjectRef(row), uploadId: row.upload_id, plainBytes: row.plain_bytes }));
  }

  async endReservations(bucketId: BucketId, idleSeconds: number): Promise<void> {
    await sql`
      update uploads u set lease = lease + 1
      where u.stage = 'receiving' and ${isIdle(idleSeconds)} and exists (
        select from pending_objects p
        where p.bucket_id = ${bucketId} and p.upload_id = u.id and p.lease = u.lease)`.execute(
      this.database.em().getKysely(),
    );
  }

  async reserve({ bucketId, objectKey }: ObjectRef, holdSeconds: number, chunk?: ChunkPlace): Promise<void> {
    await sql`
      insert into pending_objects (bucket_id, object_key, held_until, file_id, stripe, shard)
      values (${bucketId}, ${objectKey}, now() + make_interval(secs => ${holdSeconds}),
        ${chunk?.fileId ?? null}, ${chunk?.stripe ?? null}, ${chunk?.shard ?? null})`.execute(
      this.database.em().getKysely(),
    );
  }

  swapChunk(move: ChunkMove): Promise<boolean> {
    const { from, to } = move;
    return this.#swap(move, async em => {
      const db = em.getKysely();
      // Before anything is looked at: what a commit changes of the stripe is seen here, or waits for the end of this. If the
      // upload becomes a file meanwhile, the triggers of its manifest see the change.
      await sql`
        update uploads set moved_chunks = moved_chunks + 1
        where id = ${from.fileId} and stage = 'receiving'`.execute(db);
      if (!(await isFreeToMove(em, from, move.idleSeconds))) return false;
      // One swap of a stripe at a time: two that each see the bucket free of it would both go there.
      await sql`select pg_advisory_xact_lock(hashtext(${from.fileId}), ${from.stripe}::int)`.execute(db);
      const { rows } = await sql`
        update chunks set bucket_id = ${to.bucketId}, object_key = ${to.objectKey}, state = 0,
          written_at = now(), last_verified_at = now()
        where file_id = ${from.fileId} and stripe = ${from.stripe} and shard = ${from.shard}
          and bucket_id = ${from.bucketId} and object_key = ${from.objectKey}
          and ${move.mostInBucket} > (
            select count(*) from chunks o where o.file_id = ${from.fileId} and o.stripe = ${from.stripe}
              and o.bucket_id = ${to.bucketId} and o.shard <> ${from.shard})
        returning 1`.execute(db);
      return rows.length === 1;
    });
  }

  swapTail(move: Move<PlacedTail>): Promise<boolean> {
    const { from, to } = move;
    return this.#swap(move, async em => {
      const { rows } = await sql`
        update uploads set tail_bucket_id = ${to.bucketId}, tail_object_key = ${to.objectKey}
        where id = ${from.uploadId} and stage = 'receiving'
          and tail_bucket_id = ${from.bucketId} and tail_object_key = ${from.objectKey}
        returning 1`.execute(em.getKysely());
      return rows.length === 1;
    });
  }

  /** What every swap has in common: the reservation ends, and the old object is dead, once readers have had their time. */
  #swap(
    { from, to, keepSeconds }: Move<ObjectRef>,
    swapRow: (em: EntityManager) => Promise<boolean>,
  ): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      const held = await sql`
        select from pending_objects
        where bucket_id = ${to.bucketId} and object_key = ${to.objectKey} and held_until is not null
        for update`.execute(db);
      if (held.rows.length !== 1 || !(await swapRow(em))) return false;
      await sql`
        delete from pending_objects
        where bucket_id = ${to.bucketId} and object_key = ${to.objectKey}`.execute(db);
      await sql`
        insert into dead_objects (bucket_id, object_key, claimed_until)
        values (${from.bucketId}, ${from.objectKey}, now() + make_interval(secs => ${keepSeconds}))`.execute(
        db,
      );
      return true;
    });
  }
}

/** Nobody has taken a lease or committed for so long. Of alias `u`. */
function isIdle(seconds: number) {
  return sql`u.leased_at <= now() - make_interval(secs => ${seconds})`;
}

/**
 * Whether no writer can be about to put a chunk of the same stripe into the bucket this one moves to, while the upload's row
 * is locked. Into a stripe that is full nobody puts any: who opens one again (core/declare-length.ts) has to commit that
 * first. One that an idle upload left unfinished is taken from its writer, if there still is one, by ending the lease:
 * whoever comes next reads the rows as they are then.
 */
async function isFreeToMove(em: EntityManager, chunk: PlacedChunk, idleSeconds: number): Promise<boolean> {
  const db = em.getKysely();
  const ofStripe = sql`(select ${chunk.fileId}::uuid as file_id, ${chunk.stripe}::int as stripe) as c`;
  const filling = await sql`
    select from uploads u, ${ofStripe} where u.id = c.file_id and ${IS_BEING_FILLED}`.execute(db);
  if (filling.rows.length === 0) return true;
  const ended = await sql`
    update uploads u set lease = lease + 1 from ${ofStripe}
    where u.id = c.file_id and ${isIdle(idleSeconds)} and ${IS_BEING_FILLED}
    returning 1`.execute(db);
  return ended.rows.length === 1;
}
