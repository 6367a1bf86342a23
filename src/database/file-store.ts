/** Finished files: from the last commit of their upload to their shredding. */
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { NewTerms, StoredFile } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { FileStore, Finish } from "../core/ports.js";
import { auditing, recordAudit } from "./audit-log.js";
import { requirePending } from "./chunk-map.js";
import { buryChunks } from "./dead-objects.js";
import { FileTable } from "./entities.js";
import { IS_OVER } from "./expiries.js";
import { toFile } from "./file-row.js";
import { granting } from "./grant-store.js";
import { buryManifest, manifesting } from "./manifest-store.js";
import type { Database } from "./orm.js";
import { runPrepared } from "./prepared.js";
import { allColumns, named } from "./rows.js";

const HASH = /^[0-9a-f]{64}$/;

/** Chunk rows that one transaction of a shredding moves. */
const SHRED_BATCH = 5_000;

const COLUMNS = allColumns(FileTable, "f");

interface FinishedRow {
  readonly is_whole: boolean;
  readonly cleared: string;
  readonly older_passwords: string;
}

export class FileRows implements FileStore {
  /** `shredBatch` is for tests. */
  constructor(
    private readonly database: Database,
    private readonly shredBatch = SHRED_BATCH,
  ) {}

  /** In one statement within the transaction: every small file pays for it. */
  finish(finish: Finish): Promise<StoredFile | null> {
    const { uploadId, lease, file, terms, createdAt, grant, event, manifest } = finish;
    const { plainBytes, parity } = file;
    const hash = Buffer.from(file.hash, "hex");
    const bornAt = sql`${createdAt.toISOString()}::timestamptz`;
    const granted = grant ? sql`granted as (${granting([grant], sql`ended`)}),` : sql``;
    const audited = event ? sql`audited as (${auditing(event, sql`${hash}`, sql`ended`)}),` : sql``;
    return this.database.transaction(async em => {
      const statement = sql<FinishedRow>`
        with ended as (
          update uploads set stage = 'finished', hash = ${hash}
          where id = ${uploadId} and lease = ${lease} and stage = 'receiving'
          returning tail_object_key is null and "offset" = ${plainBytes} and coalesce(length = "offset", true)
            as is_whole, case when moved_chunks = ${finish.movedChunks} then 1 else 2 end as revision
        ), f as (
          insert into files (id, hash, core, seal, meta, plain_bytes, data_chunks, parity_chunks, created_at,
            expires_at, max_downloads)
          select ${file.id}, ${hash}, ${file.core}, ${file.seal}, ${file.meta}, ${plainBytes}, ${parity.dataChunks},
            ${parity.parityChunks}, ${bornAt}, ${bornAt} + make_interval(secs => ${terms.expiresInSeconds}),
            ${terms.maxDownloads}
          from ended
          returning *
        ), closed as (
          delete from grants using ended where file_id = ${uploadId} and kind = 'upload'
        ), ${granted} ${audited} ${manifesting(finish, manifest, sql`ended`)}
        select ${COLUMNS}, ended.is_whole, (select count(*) from cleared) as cleared,
          (select count(*) from grants where file_id = ${file.id} and kind = 'password') as older_passwords
        from f, ended`;
      const [row] = await runPrepared(em, statement);
      if (!row) return null;
      // That the upload is whole is core's to know; that it is not is a bug.
      if (!row.is_whole) throw new Error(`upload ${uploadId} is not whole`);
      if (Number(row.older_passwords) + (grant ? 1 : 0) !== 1)
        throw new VaultError("MISSING_PASSWORD", `file ${file.id} has no password grant`);
      requirePending(uploadId, Number(row.cleared), manifest.objects);
      return toFile(named(row));
    });
  }

  async find(by: { hash: string } | { id: FileId }): Promise<StoredFile | null> {
    // Buffer.from stops silently at what is no hex digit, so a valid hash with a tail would find its file.
    if ("hash" in by && !HASH.test(by.hash)) return null;
    const isIt = "id" in by ? sql`id = ${by.id}` : sql`hash = ${Buffer.from(by.hash, "hex")}`;
    const statement = sql<object>`select ${COLUMNS} from files f where ${isIt}`;
    const [row] = await runPrepared(this.database.em(), statement);
    return row ? toFile(named(row)) : null;
  }

  changeTerms(
    id: FileId,
    decide: (file: StoredFile) => NewTerms,
    event?: AuditEvent,
  ): Promise<StoredFile | null> {
    return this.database.transaction(async em => {
      await sql`select 1 from files where id = ${id} for no key update`.execute(em.getKysely());
      const row = await em.findOne(FileTable, id);
      if (!row) return null;
      const terms = decide(toFile(row));
      if (Object.keys(terms).length > 0) await em.nativeUpdate(FileTable, { id }, terms);
      await recordAudit(em, event);
      return toFile(await em.findOneOrFail(FileTable, id, { refresh: true }));
    });
  }

  async shred(id: FileId, why: "asked" | "over", event?: AuditEvent): Promise<boolean> {
    if (!(await this.#markGone(id, why, event))) return false;
    // From here the file cannot be opened. A crash leaves `has_chunks`, by which the next sweep finds it again.
    for (let moved = this.shredBatch; moved === this.shredBatch; ) {
      moved = await buryChunks(this.database.em(), id, this.shredBatch);
    }
    await sql`update files set has_chunks = false where id = ${id}`.execute(this.database.em().getKysely());
    return true;
  }

  #markGone(id: FileId, why: "asked" | "over", event?: AuditEvent): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      await sql`select 1 from files where id = ${id} for update`.execute(db);
      // A statement of its own, so that it sees what was there when the lock was given.
      const found = await sql<{ is_gone: boolean; is_retained: boolean; is_over: boolean }>`
        select status = 'gone' as is_gone, coalesce(retain_until > now(), false) as is_retained, ${IS_OVER} as is_over
        from files f where id = ${id}`.execute(db);
      const [file] = found.rows;
      if (!file) return false;
      if (file.is_gone) return true;
      if (why === "over" && !file.is_over) return false;
      if (file.is_retained) throw new VaultError("FILE_RETAINED", `file ${id} is retained`);
      await sql`delete from grants where file_id = ${id}`.execute(db);
      await buryManifest(em, id);
      await sql`update files set status = 'gone', meta = null, gone_at = now() where id = ${id}`.execute(db);
      await recordAudit(em, event);
      return true;
    });
  }
}
