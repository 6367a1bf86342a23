/** Objects that nothing names any more, or that nobody is left to name, and how chunk rows and tails become so. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ObjectRef } from "../core/model.js";
import type { DeadObjects, LostObject, LostObjects } from "../core/sweep-ports.js";
import { IS_NOT_SPARED } from "./expiries.js";
import type { Database } from "./orm.js";
import type { ObjectRow } from "./rows.js";
import { objectKey, toObjectRef, unnested } from "./rows.js";

/** How long a sweeper has before others may try the same objects. */
const CLAIM_SECONDS = 300;

export class DeadRows implements DeadObjects {
  constructor(private readonly database: Database) {}

  /**
   * Rows that another sweeper is claiming now are skipped, not waited for. What the newest manifest in the buckets still
   * names is left until it is written anew: else the buckets alone would not have the file meanwhile.
   */
  async claim(limit: number): Promise<readonly ObjectRef[]> {
    const { rows } = await sql<ObjectRow>`
      with free as (
        select bucket_id, object_key from dead_objects d
        where claimed_until < now() and not exists (
          select from superseded_objects s where s.bucket_id = d.bucket_id and s.object_key = d.object_key)
        order by claimed_until limit ${limit} for update skip locked
      )
      update dead_objects d set claimed_until = now() + make_interval(secs => ${CLAIM_SECONDS})
      from free where d.bucket_id = free.bucket_id and d.object_key = free.object_key
      returning d.bucket_id, d.object_key`.execute(this.database.em().getKysely());
    return rows.map(toObjectRef);
  }

  async forget(objects: readonly ObjectRef[]): Promise<void> {
    await sql`
      delete from dead_objects d
      using ${unnested(objects)}
      where d.bucket_id = o.bucket_id and d.object_key = o.object_key`.execute(
      this.database.em().getKysely(),
    );
  }
}

/**
 * A pending object `p` of an upload `u`, if there is one, is lost when nothing can name it any more: its upload has ended,
 * another writer holds a newer lease, or it was held for a move whose time is over. A commit under way holds the upload's
 * row, so a newer lease is seen only after that commit is; a swap under way holds the pending row itself.
 */
const IS_LOST = sql`
  case when p.upload_id is null then p.held_until < now()
    else u.id is null or u.stage <> 'receiving' or u.lease > p.lease end`;

/** Nobody knows that it has become a file. */
const IS_NO_FILE = sql`
  p.upload_id is not null and coalesce(u.stage <> 'finished', true)
    and not exists (select from files f where f.id = p.upload_id)`;

export class LostRows implements LostObjects {
  constructor(private readonly database: Database) {}

  async find(limit: number, graceSeconds: number): Promise<readonly LostObject[]> {
    const { rows } = await sql<LostRow>`
      select p.bucket_id, p.object_key, p.upload_id, coalesce(u.parity_chunks, 0) as parity_chunks,
        ${IS_NO_FILE} as is_no_file, c.bucket_id as replaced_bucket_id, c.object_key as replaced_object_key
      from (
        select * from pending_objects p
        where p.created_at < now() - make_interval(secs => ${graceSeconds}) and ${IS_NOT_SPARED}
      ) as p
        left join uploads u on u.id = p.upload_id
        left join chunks c on c.file_id = p.file_id and c.stripe = p.stripe and c.shard = p.shard
      where ${IS_LOST} order by p.created_at limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(toLostObject);
  }

  async bury(objects: readonly ObjectRef[], graceSeconds: number): Promise<readonly ObjectRef[]> {
    const { rows } = await sql<ObjectRow>`
      with lost as (
        select p.bucket_id, p.object_key
        from ${unnested(objects)}
          join pending_objects p on p.bucket_id = o.bucket_id and p.object_key = o.object_key
          left join uploads u on u.id = p.upload_id
        where p.created_at < now() - make_interval(secs => ${graceSeconds}) and ${IS_LOST}
        for update of p skip locked
      ), taken as (
        delete from pending_objects p using lost
        where p.bucket_id = lost.bucket_id and p.object_key = lost.object_key
        returning p.bucket_id, p.object_key
      )
      insert into dead_objects (bucket_id, object_key, claimed_until)
      select bucket_id, object_key, now() + make_interval(secs => ${CLAIM_SECONDS}) from taken
      returning bucket_id, object_key`.execute(this.database.em().getKysely());
    return rows.map(toObjectRef);
  }

  async spare(objects: readonly ObjectRef[], seconds: number): Promise<void> {
    await sql`
      update pending_objects p set spared_until = now() + make_interval(secs => ${seconds})
      from ${unnested(objects)}
      where p.bucket_id = o.bucket_id and p.object_key = o.object_key`.execute(
      this.database.em().getKysely(),
    );
  }
}

interface LostRow extends ObjectRow {
  readonly upload_id: FileId | null;
  readonly parity_chunks: number;
  readonly is_no_file: boolean;
  readonly replaced_bucket_id: number | null;
  readonly replaced_object_key: string | null;
}

function toLostObject(row: LostRow): LostObject {
  const { upload_id: id, replaced_bucket_id: bucketId, replaced_object_key: key } = row;
  return {
    ...toObjectRef(row),
    upload: id !== null && row.is_no_file ? { id, parityChunks: row.parity_chunks } : null,
    replaces: bucketId !== null && key !== null ? { bucketId, objectKey: objectKey(key) } : null,
  };
}

/** Declares the tail dead, within the caller's transaction. The caller changes the row. */
export async function buryTail(em: EntityManager, uploadId: FileId): Promise<void> {
  await sql`
    insert into dead_objects (bucket_id, object_key)
    select tail_bucket_id, tail_object_key from uploads
    where id = ${uploadId} and tail_object_key is not null`.execute(em.getKysely());
}

/**
 * Turns up to `limit` chunk rows of a file into dead objects, all of them where it is null, in one statement within
 * the server: a million rows do not pass through this process. Returns how many.
 */
export async function buryChunks(em: EntityManager, fileId: FileId, limit: number | null): Promise<number> {
  const { rows } = await sql<{ count: string }>`
    with batch as (
      select stripe, shard from chunks where file_id = ${fileId}
      order by stripe, shard limit ${limit}::bigint for update
    ), gone as (
      delete from chunks c using batch
      where c.file_id = ${fileId} and c.stripe = batch.stripe and c.shard = batch.shard
      returning c.bucket_id, c.object_key
    ), buried as (
      insert into dead_objects (bucket_id, object_key) select bucket_id, object_key from gone returning 1
    )
    select count(*) from buried`.execute(em.getKysely());
  return Number(rows[0]?.count);
}
