/** Finished files: from the last commit of their upload to their shredding. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { raw } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { StoredFile } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { FileStore, Finish } from "../core/ports.js";
import { recordAudit } from "./audit-log.js";
import { buryChunks } from "./dead-objects.js";
import { FileTable, GrantTable } from "./entities.js";
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

  async countDownload(id: FileId): Promise<boolean> {
    // One statement: the row lock makes comparing and counting one step.
    const { rows } = await sql`
      update files set download_count = download_count + 1
      where id = ${id} and status <> 'gone' and coalesce(expires_at > now(), true)
        and coalesce(download_count < max_downloads, true)
      returning id`.execute(this.database.em().getKysely());
    return rows.length === 1;
  }

  async shred(id: FileId, event?: AuditEvent): Promise<boolean> {
    if (!(await this.#markGone(id, event))) return false;
    // From here the file cannot be opened. A crash leaves `has_chunks`, by which the next sweep finds it again.
    for (let moved = this.shredBatch; moved === this.shredBatch; ) {
      moved = await buryChunks(this.database.em(), id, this.shredBatch);
    }
    await sql`update files set has_chunks = false where id = ${id}`.execute(this.database.em().getKysely());
    return true;
  }

  #markGone(id: FileId, event?: AuditEvent): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      const found = await sql<{ is_retained: boolean }>`
        select coalesce(retain_until > now(), false) as is_retained from files
        where id = ${id} for update`.execute(db);
      const [file] = found.rows;
      if (!file) return false;
      if (file.is_retained) throw new VaultError("FILE_RETAINED", `file ${id} is retained`);
      await sql`delete from grants where file_id = ${id}`.execute(db);
      await buryManifest(em, id);
      const marked = await sql`
        update files set status = 'gone', meta = null, gone_at = now()
        where id = ${id} and status <> 'gone' returning id`.execute(db);
      if (marked.rows.length === 1) await recordAudit(em, event);
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
