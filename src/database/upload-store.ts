/** Open uploads. The lease number and the offset are only ever moved by compare-and-swap. */
import { raw } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { Tail, Upload, UploadStage } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { NewGrant } from "../core/grant-ports.js";
import type { NewUpload, UploadStore } from "../core/ports.js";
import { recordAudit } from "./audit-log.js";
import type { UploadRow } from "./entities.js";
import { buryChunks, buryTail } from "./dead-objects.js";
import { UploadTable } from "./entities.js";
import { insertGrants } from "./grant-store.js";
import type { Database } from "./orm.js";
import { bytes, hex, integer, objectKey } from "./rows.js";

export class UploadRows implements UploadStore {
  constructor(private readonly database: Database) {}

  create(upload: NewUpload, grants: readonly NewGrant[], event?: AuditEvent): Promise<Upload> {
    return this.database.transaction(async em => {
      await em.insert(UploadTable, {
        id: upload.id,
        tokenId: Buffer.from(upload.tokenId),
        length: upload.length,
        ...upload.layout,
        ...upload.parity,
        floeHeader: Buffer.from(upload.floeHeader),
        meta: Buffer.from(upload.meta),
        facts: Buffer.from(upload.facts),
        ...upload.terms,
        expiresAt: raw("now() + make_interval(secs => ?)", [upload.ttlSeconds]),
      });
      await insertGrants(em, grants);
      await recordAudit(em, event);
      return toUpload(await em.findOneOrFail(UploadTable, upload.id));
    });
  }

  async find(tokenId: Uint8Array): Promise<Upload | null> {
    const row = await this.database.em().findOne(UploadTable, { tokenId: Buffer.from(tokenId) });
    return row && toUpload(row);
  }

  lease(id: FileId, at: { offset: number; length?: number }): Promise<Upload | null> {
    const length = at.length ?? null;
    return this.database.transaction(async em => {
      const { rows } = await sql`
        update uploads set lease = lease + 1, leased_at = now(), length = coalesce(length, ${length}::bigint)
        where id = ${id} and stage = 'receiving' and expires_at > now() and "offset" = ${at.offset}
          and coalesce(length = ${length}::bigint, true) and coalesce("offset" <= ${length}::bigint, true)
        returning id`.execute(em.getKysely());
      return rows.length === 0 ? null : toUpload(await em.findOneOrFail(UploadTable, id));
    });
  }

  end(
    id: FileId,
    stage: Exclude<UploadStage, "receiving" | "finished">,
    event?: AuditEvent,
  ): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      const { rows } = await sql<{ id: string }>`
        update uploads set stage = ${stage} where id = ${id} and stage = 'receiving'
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
    stage: row.stage,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
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
