/** What is expired or provably dead, and how chunk rows and tails become so. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ObjectRef } from "../core/model.js";
import type { DeadObjects } from "../core/ports.js";
import type { Database } from "./orm.js";
import type { ObjectRow } from "./rows.js";
import { objectColumns, toObjectRef } from "./rows.js";
import { foldUsage } from "./usage.js";

/** How long a sweeper has before others may try the same objects. */
const CLAIM_SECONDS = 300;
/** How long the row of an ended upload, or of a link that ran out, still tells a late client what became of it. */
const REMEMBER_SECONDS = 30 * 24 * 3600;
/** How long after the end of its link a last download that has begun may still be under way. */
const DELIVERY_SECONDS = 24 * 3600;

/**
 * Of a row `f` of `files` that is not gone: it ends now. Its time is past; or its downloads have all been had and none is
 * under way, nor can be continued; and nothing retains it. Never null.
 */
export const IS_OVER = sql<boolean>`(
  coalesce(f.retain_until <= now(), true) and (
    coalesce(f.expires_at <= now(), false)
    or coalesce(f.download_count >= f.max_downloads, false) and not exists (
      select 1 from grants g
      where g.file_id = f.id and g.kind = 'link' and g.use_count > g.ended_count
        and coalesce(least(g.expires_at, g.revoked_at), 'infinity') > now() - make_interval(secs => ${DELIVERY_SECONDS}))))`;

export class DeadRows implements DeadObjects {
  constructor(private readonly database: Database) {}

  /** Two indexes find the candidates of {@link IS_OVER}: one for those with an expiry, one for those without a download left. */
  async expired(limit: number): Promise<{ uploads: readonly FileId[]; files: readonly FileId[] }> {
    const db = this.database.em().getKysely();
    await this.#forgetEnded(limit);
    await foldUsage(this.database.em());
    const uploads = await sql<{ id: FileId }>`
      select id from uploads where stage = 'receiving' and expires_at <= now()
      order by expires_at limit ${limit}`.execute(db);
    const files = await sql<{ id: FileId }>`
      (select id from files where status = 'gone' and has_chunks order by gone_at limit ${limit})
      union
      (select id from files f
       where status <> 'gone' and expires_at <= now() and ${IS_OVER} order by expires_at limit ${limit})
      union
      (select id from files f
       where status <> 'gone' and download_count >= max_downloads and ${IS_OVER} order by created_at limit ${limit})
      limit ${limit}`.execute(db);
    return { uploads: uploads.rows.map(row => row.id), files: files.rows.map(row => row.id) };
  }

  async claim(limit: number, graceSeconds: number): Promise<readonly ObjectRef[]> {
    const declared = await this.#claimDeclared(limit);
    const left = limit - declared.length;
    return left > 0 ? [...declared, ...(await this.#claimPending(left, graceSeconds))] : declared;
  }

  async forget(objects: readonly ObjectRef[]): Promise<void> {
    const { bucketIds, objectKeys } = objectColumns(objects);
    await sql`
      delete from dead_objects d
      using unnest(${bucketIds}::smallint[], ${objectKeys}::uuid[]) as o (bucket_id, object_key)
      where d.bucket_id = o.bucket_id and d.object_key = o.object_key`.execute(
      this.database.em().getKysely(),
    );
  }

  /**
   * Rows that another sweeper is claiming now are skipped, not waited for. What the newest manifest in the buckets still
   * names is left until it is written anew: else the buckets alone would not have the file meanwhile.
   */
  async #claimDeclared(limit: number): Promise<ObjectRef[]> {
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

  /**
   * A pending object is dead when nothing can name it any more: its upload has ended, another writer holds a newer
   * lease, or it was held for a move whose time is over. A commit under way holds the upload's row, so a newer lease is
   * seen only after that commit is; a swap under way holds the pending row itself.
   */
  async #claimPending(limit: number, graceSeconds: number): Promise<ObjectRef[]> {
    const { rows } = await sql<ObjectRow>`
      with lost as (
        select p.bucket_id, p.object_key from pending_objects p left join uploads u on u.id = p.upload_id
        where p.created_at < now() - make_interval(secs => ${graceSeconds})
          and case when p.upload_id is null then p.held_until < now()
            else u.id is null or u.stage <> 'receiving' or u.lease > p.lease end
        order by p.created_at limit ${limit} for update of p skip locked
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

  async #forgetEnded(limit: number): Promise<void> {
    const db = this.database.em().getKysely();
    const long = sql`now() - make_interval(secs => ${REMEMBER_SECONDS})`;
    await sql`
      delete from uploads where id in (
        select id from uploads where stage <> 'receiving' and expires_at < ${long}
        order by expires_at limit ${limit} for update skip locked)`.execute(db);
    await sql`
      delete from attempts where key in (
        select key from attempts where expire < (extract(epoch from now()) * 1000)::bigint
        limit ${limit} for update skip locked)`.execute(db);
    await sql`
      delete from grants where id in (
        select id from grants where kind = 'link' and expires_at < ${long}
        order by expires_at limit ${limit} for update skip locked)`.execute(db);
  }
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
