/** Finished files: from the last commit of their upload to their shredding. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { raw } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { NewTerms, StoredFile } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { FileStore, Finish } from "../core/ports.js";
import { recordAudit } from "./audit-log.js";
import { buryChunks } from "./dead-objects.js";
import { FileTable, GrantTable } from "./entities.js";
import { IS_OVER } from "./expiries.js";
import { toFile } from "./file-row.js";
import { insertGrants } from "./grant-store.js";
import { buryManifest, insertManifest } from "./manifest-store.js";
import type { Database } from "./orm.js";

const HASH = /^[0-9a-f]{64}$/;

/** Chunk rows that one transaction of a shredding moves. */
const SHRED_BATCH = 5_000;

export class FileRows implements FileStore {
  /** `shredBatch` is for tests. */
  constructor(
    private readonly database: Database,
    private readonly shredBatch = SHRED_BATCH,
  ) {}

  finish(finish: Finish): Promise<StoredFile | null> {
    const { file, terms, uploadId } = finish;
    return this.database.transaction(async em => {
      if (!(await finishUpload(em, finish))) return null;
      const secondsLeft = terms.expiresInSeconds;
      await em.insert(FileTable, {
        id: file.id,
        hash: Buffer.from(file.hash, "hex"),
        core: Buffer.from(file.core),
        seal: Buffer.from(file.seal),
        meta: Buffer.from(file.meta),
        plainBytes: file.plainBytes,
        ...file.parity,
        createdAt: finish.createdAt,
        expiresAt:
          secondsLeft === null
            ? null
            : raw("?::timestamptz + make_interval(secs => ?)", [finish.createdAt.toISOString(), secondsLeft]),
        maxDownloads: terms.maxDownloads,
      });
      await em.nativeDelete(GrantTable, { fileId: uploadId, kind: "upload" });
      if (finish.grant) await insertGrants(em, [finish.grant]);
      const passwords = await em.count(GrantTable, { fileId: file.id, kind: "password" });
      if (passwords !== 1) throw new VaultError("MISSING_PASSWORD", `file ${file.id} has no password grant`);
      await insertManifest(em, finish, finish.manifest);
      await recordAudit(em, finish.event);
      return toFile(await em.findOneOrFail(FileTable, file.id));
    });
  }

  async find(by: { hash: string } | { id: FileId }): Promise<StoredFile | null> {
    // Buffer.from stops silently at what is no hex digit, so a valid hash with a tail would find its file.
    if ("hash" in by && !HASH.test(by.hash)) return null;
    const where = "id" in by ? { id: by.id } : { hash: Buffer.from(by.hash, "hex") };
    const row = await this.database.em().findOne(FileTable, where);
    return row && toFile(row);
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

/** Compare-and-swap on stage and lease. That the upload is whole is core's to know; that it is not is a bug. */
async function finishUpload(em: EntityManager, { uploadId, lease, file }: Finish): Promise<boolean> {
  const { rows } = await sql<{ is_whole: boolean }>`
    update uploads set stage = 'finished', hash = ${Buffer.from(file.hash, "hex")}
    where id = ${uploadId} and lease = ${lease} and stage = 'receiving'
    returning tail_object_key is null and "offset" = ${file.plainBytes} and coalesce(length = "offset", true)
      as is_whole`.execute(em.getKysely());
  const [upload] = rows;
  if (upload && !upload.is_whole) throw new Error(`upload ${uploadId} is not whole`);
  return upload !== undefined;
}
