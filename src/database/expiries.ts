/** What has come to its end by the clock: the database's, for all replicas. */
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ObjectRef } from "../core/model.js";
import type { Expired, Expiries, OverFile } from "../core/sweep-ports.js";
import type { Database } from "./orm.js";
import type { ObjectRow } from "./rows.js";
import { bytes, hex, toObjectRef, unnested } from "./rows.js";
import { foldUsage } from "./usage.js";

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

/** Of a row of whatever can be spared. */
export const IS_NOT_SPARED = sql<boolean>`coalesce(spared_until <= now(), true)`;

export class ExpiryRows implements Expiries {
  constructor(private readonly database: Database) {}

  /** Two indexes find the candidates of {@link IS_OVER}: one for those with an expiry, one for those without a download left. */
  async expired(limit: number): Promise<Expired> {
    const db = this.database.em().getKysely();
    await this.#forgetEnded(limit);
    await foldUsage(this.database.em());
    const uploads = await sql<{ id: FileId; parity_chunks: number }>`
      select id, parity_chunks from uploads where stage = 'receiving' and expires_at <= now() and ${IS_NOT_SPARED}
      order by expires_at limit ${limit}`.execute(db);
    const halfShredded = await sql<{ id: FileId }>`
      select id from files where status = 'gone' and has_chunks order by gone_at limit ${limit}`.execute(db);
    const files = await sql<OverRow>`
      select f.id, f.hash, f.parity_chunks, m.map_key
      from (
        (select id, hash, parity_chunks from files f
         where status <> 'gone' and expires_at <= now() and ${IS_NOT_SPARED} and ${IS_OVER}
         order by expires_at limit ${limit})
        union
        (select id, hash, parity_chunks from files f
         where status <> 'gone' and download_count >= max_downloads and ${IS_NOT_SPARED} and ${IS_OVER}
         order by created_at limit ${limit})
      ) as f left join manifests m on m.file_id = f.id
      limit ${limit}`.execute(db);
    return {
      uploads: uploads.rows.map(row => ({ id: row.id, parityChunks: row.parity_chunks })),
      halfShredded: halfShredded.rows.map(row => row.id),
      files: files.rows.map(toOverFile),
    };
  }

  async over(id: FileId): Promise<OverFile | null> {
    const { rows } = await sql<OverRow>`
      select f.id, f.hash, f.parity_chunks, m.map_key
      from files f left join manifests m on m.file_id = f.id
      where f.id = ${id} and status <> 'gone' and ${IS_NOT_SPARED} and ${IS_OVER}`.execute(
      this.database.em().getKysely(),
    );
    return rows[0] ? toOverFile(rows[0]) : null;
  }

  async spare(kind: "uploads" | "files", id: FileId, seconds: number): Promise<boolean> {
    const { rows } = await sql`
      update ${sql.table(kind)} set spared_until = now() + make_interval(secs => ${seconds})
      where id = ${id} and ${kind === "uploads" ? sql`stage = 'receiving'` : sql`status <> 'gone'`}
      returning 1`.execute(this.database.em().getKysely());
    return rows.length === 1;
  }

  async unknown(objects: readonly ObjectRef[]): Promise<readonly ObjectRef[]> {
    const named = (table: string) => sql`
      not exists (select from ${sql.table(table)} t where t.bucket_id = o.bucket_id and t.object_key = o.object_key)`;
    const { rows } = await sql<ObjectRow>`
      select o.bucket_id, o.object_key
      from ${unnested(objects)}
      where ${named("manifest_objects")} and ${named("pending_objects")} and ${named("dead_objects")}`.execute(
      this.database.em().getKysely(),
    );
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

interface OverRow {
  readonly id: FileId;
  readonly hash: Uint8Array;
  readonly parity_chunks: number;
  readonly map_key: Uint8Array | null;
}

function toOverFile(row: OverRow): OverFile {
  return {
    id: row.id,
    hash: hex(row.hash),
    parityChunks: row.parity_chunks,
    mapKey: row.map_key && bytes(row.map_key),
  };
}
