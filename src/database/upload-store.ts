/** Open uploads. The lease number and the offset are only ever moved by compare-and-swap. */
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { HeldUpload, Tail, Upload, UploadStage } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { NewGrant } from "../core/grant-ports.js";
import type { NewUpload, UploadStore } from "../core/ports.js";
import { auditing, recordAudit } from "./audit-log.js";
import type { UploadRow } from "./entities.js";
import { UploadTable } from "./entities.js";
import { buryChunks, buryTail } from "./dead-objects.js";
import { granting } from "./grant-store.js";
import type { Database } from "./orm.js";
import { runPrepared } from "./prepared.js";
import { allColumns, bytes, date, hex, integer, named, objectKey } from "./rows.js";

const COLUMNS = allColumns(UploadTable, "u");
const WRAP = sql`(select wrap from grants g where g.id = u.token_id and g.kind = 'upload') as wrap`;

interface HeldRow {
  readonly wrap: Uint8Array | null;
}

export class UploadRows implements UploadStore {
  constructor(private readonly database: Database) {}

  async create(upload: NewUpload, grants: readonly NewGrant[], event?: AuditEvent): Promise<Upload> {
    const { layout, parity, terms } = upload;
    const audited = event ? sql`, audited as (${auditing(event, sql`null`, sql`u`)})` : sql``;
    const statement = sql<object>`
      with u as (
        insert into uploads (id, token_id, length, chunk_bytes, segment_bytes, data_chunks, parity_chunks, floe_header,
          meta, facts, expires_in_seconds, max_downloads, expires_at)
        values (${upload.id}, ${upload.tokenId}, ${upload.length}, ${layout.chunkBytes}, ${layout.segmentBytes},
          ${parity.dataChunks}, ${parity.parityChunks}, ${upload.floeHeader}, ${upload.meta}, ${upload.facts},
          ${terms.expiresInSeconds}, ${terms.maxDownloads}, now() + make_interval(secs => ${upload.ttlSeconds}))
        returning *
      ), granted as (
        ${granting(grants, sql`u`)}
      )${audited}
      select ${COLUMNS} from u`;
    const [row] = await runPrepared(this.database.em(), statement);
    if (!row) throw new Error(`upload ${upload.id} was not written`);
    return toUpload(named(row));
  }

  find(tokenId: Uint8Array): Promise<HeldUpload | null> {
    return this.#readHeld(sql`select ${COLUMNS}, ${WRAP} from uploads u where token_id = ${tokenId}`);
  }

  lease(
    id: FileId,
    at: { offset: number; length?: number; ttlSeconds?: number },
  ): Promise<HeldUpload | null> {
    const length = at.length ?? null;
    return this.#readHeld(sql`
      update uploads u set lease = lease + 1, leased_at = now(), length = coalesce(length, ${length}::bigint),
        expires_at = greatest(expires_at, now() + make_interval(secs => ${at.ttlSeconds ?? 0}))
      where id = ${id} and stage = 'receiving' and expires_at > now() and "offset" = ${at.offset}
        and coalesce(length = ${length}::bigint, true) and coalesce("offset" <= ${length}::bigint, true)
        and (length is not null or tail_object_key is not null or "offset" = 0
          or coalesce("offset" < ${length}::bigint, true))
      returning ${COLUMNS}, ${WRAP}`);
  }

  async keep(tokenIds: readonly Uint8Array[], ttlSeconds: number): Promise<void> {
    await sql`
      update uploads set expires_at = greatest(expires_at, now() + make_interval(secs => ${ttlSeconds}))
      where token_id = any(${tokenIds}::bytea[]) and stage = 'receiving' and expires_at > now()`.execute(
      this.database.em().getKysely(),
    );
  }

  async #readHeld(statement: RawBuilder<HeldRow>): Promise<HeldUpload | null> {
    const [row] = await runPrepared(this.database.em(), statement);
    return row ? { ...toUpload(named(row)), wrap: row.wrap && bytes(row.wrap) } : null;
  }

  end(
    id: FileId,
    stage: Exclude<UploadStage, "receiving" | "finished">,
    event?: AuditEvent,
  ): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      const { rows } = await sql<{ id: string }>`
        update uploads set stage = ${stage}
        where id = ${id} and stage = 'receiving' and (${stage} <> 'expired' or expires_at <= now())
        returning id`.execute(db);
      if (rows.length === 0) return false;
      await sql`delete from grants where file_id = ${id}`.execute(db);
      // What is still pending stays so for its grace time: a writer that does not know yet may be putting it now.
      await buryTail(em, id);
      await sql`
        update uploads set tail_bucket_id = null, tail_object_key = null, tail_plain_bytes = null
        where id = ${id}`.execute(db);
      await buryChunks(em, id, null);
      await recordAudit(em, event);
      return true;
    });
  }
}

export function toUpload(row: UploadRow): Upload {
  return {
    id: row.id,
    lease: integer(row.lease),
    offset: integer(row.offset),
    length: row.length === null ? null : integer(row.length),
    layout: { chunkBytes: row.chunkBytes, segmentBytes: row.segmentBytes },
    parity: { dataChunks: row.dataChunks, parityChunks: row.parityChunks },
    floeHeader: bytes(row.floeHeader),
    meta: bytes(row.meta),
    facts: bytes(row.facts),
    tail: toTail(row),
    movedChunks: integer(row.movedChunks),
    stage: row.stage,
    createdAt: date(row.createdAt),
    expiresAt: date(row.expiresAt),
    isExpired: row.isExpired,
    terms: {
      expiresInSeconds: row.expiresInSeconds === null ? null : integer(row.expiresInSeconds),
      maxDownloads: row.maxDownloads,
    },
    hash: row.hash ? hex(row.hash) : null,
  };
}

/** All three or none, says the table. */
function toTail({ tailBucketId, tailObjectKey, tailPlainBytes }: UploadRow): Tail | null {
  if (tailBucketId == null || tailObjectKey == null || tailPlainBytes == null) return null;
  return { bucketId: tailBucketId, objectKey: objectKey(tailObjectKey), plainBytes: tailPlainBytes };
}
