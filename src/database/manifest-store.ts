/** Recovery manifests: their objects, and the revisions that tell whether they are stale (migration 0007). */
import type { EntityManager } from "@mikro-orm/postgresql";
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ManifestObject, ManifestState, ManifestStore, NewManifest } from "../core/manifest-ports.js";
import { REWRITE_LEASE } from "../core/manifest-ports.js";
import { clearingPending, requirePending } from "./chunk-map.js";
import { FileTable } from "./entities.js";
import { toFile } from "./file-row.js";
import type { Database } from "./orm.js";
import { runPrepared } from "./prepared.js";
import type { ObjectRow } from "./rows.js";
import { ALWAYS, bytes, integer, objectColumns, toObjectRef, unnested } from "./rows.js";

/** What `part` is where it is no part of a map. */
export const ROOT = -1;
export const SIGNPOST = -2;

export class ManifestRows implements ManifestStore {
  constructor(private readonly database: Database) {}

  async complete(fileId: FileId, signposts: readonly ManifestObject[]): Promise<boolean> {
    const owner = { uploadId: fileId, lease: REWRITE_LEASE };
    const statement = sql<{ is_fresh: boolean }>`
      with held as (
        update manifests set written_revision = 1 where file_id = ${fileId} and written_revision = 0
        returning revision
      ), cleared as (
        ${clearingPending(owner, signposts, sql`held`)}
      ), added as (
        ${adding(fileId, signposts, sql`held`)}
      )
      select revision = 1 as is_fresh from held`;
    const [completed] = await runPrepared(this.database.em(), statement);
    return completed?.is_fresh ?? true;
  }

  async stale(after: FileId | null, limit: number, escrowId: Uint8Array): Promise<readonly FileId[]> {
    const key = Buffer.from(escrowId);
    const later = laterThan(after);
    // Not `<>`, which no index answers.
    const { rows } = await sql<{ file_id: FileId }>`
      (select file_id from manifests where written_revision < revision and ${later} order by file_id limit ${limit})
      union
      (select file_id from manifests where (escrow_id < ${key} or escrow_id > ${key}) and ${later}
       order by file_id limit ${limit})
      union
      (select o.file_id from manifest_objects o join buckets b on b.id = o.bucket_id
       where b.state in ('draining', 'disabled') and ${later} group by o.file_id order by o.file_id limit ${limit})
      order by file_id limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(row => row.file_id);
  }

  async changed(after: FileId | null, limit: number, escrowId: Uint8Array): Promise<readonly FileId[]> {
    const { rows } = await sql<{ file_id: FileId }>`
      select file_id from manifests
      where written_revision < revision and escrow_id = ${Buffer.from(escrowId)}
        and ${laterThan(after)}
      order by file_id limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(row => row.file_id);
  }

  async leaving(after: FileId | null, limit: number, escrowId: Uint8Array): Promise<readonly FileId[]> {
    const { rows } = await sql<{ file_id: FileId }>`
      select file_id from manifest_objects o join buckets b on b.id = o.bucket_id join manifests using (file_id)
      where b.state in ('draining', 'disabled') and escrow_id = ${Buffer.from(escrowId)}
        and ${laterThan(after)}
      group by file_id order by file_id limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(row => row.file_id);
  }

  async outdate(fileId: FileId, { bucketId, objectKey, part }: ManifestObject): Promise<void> {
    await this.database.transaction(async em => {
      const db = em.getKysely();
      await sql`
        update manifests set revision = revision + 1, map_revision = revision + ${part === "signpost" ? 0 : 1}
        where file_id = ${fileId}`.execute(db);
      if (part === "signpost")
        await buryObjects(em, fileId, sql`bucket_id = ${bucketId} and object_key = ${objectKey}`);
    });
  }

  async read(fileId: FileId): Promise<ManifestState | null> {
    const em = this.database.em();
    const db = em.getKysely();
    // One statement: the wrap belongs to the revision. What is read after it may only be newer.
    const { rows } = await sql<ManifestRow>`
      select m.map_key, m.escrow_id, m.revision, m.map_revision, m.written_revision, g.wrap
      from manifests m join grants g on g.file_id = m.file_id and g.kind = 'password'
      where m.file_id = ${fileId}`.execute(db);
    const [row] = rows;
    const file = row && (await em.findOne(FileTable, { id: fileId }));
    if (!row || !file?.meta) return null;
    const objects = await sql<ManifestObjectRow>`
      select part, bucket_id, object_key, stored_bytes, digest from manifest_objects
      where file_id = ${fileId} order by part, bucket_id`.execute(db);
    return {
      file: { ...toFile(file), meta: bytes(file.meta) },
      wrap: bytes(row.wrap),
      mapKey: bytes(row.map_key),
      escrowId: bytes(row.escrow_id),
      revision: integer(row.revision),
      mapRevision: integer(row.map_revision),
      writtenRevision: integer(row.written_revision),
      objects: objects.rows.map(toManifestObject),
    };
  }

  replace(manifest: Parameters<ManifestStore["replace"]>[0]): Promise<boolean> {
    const { fileId, revision, escrowId, objects, isComplete } = manifest;
    return this.database.transaction(async em => {
      const db = em.getKysely();
      const written = isComplete ? revision : revision - 1;
      const held = await sql`
        update manifests set written_revision = ${written}, escrow_id = ${Buffer.from(escrowId)}
        where file_id = ${fileId} and written_revision <= ${written} returning file_id`.execute(db);
      if (held.rows.length === 0) return false;
      const isNamed = sql`
        exists (
          select from ${unnested(objects, "n")} where n.bucket_id = o.bucket_id and n.object_key = o.object_key)`;
      await buryObjects(em, fileId, sql`not ${isNamed}`);
      const known = await sql<ObjectRow>`
        select bucket_id, object_key from manifest_objects where file_id = ${fileId}`.execute(db);
      const kept = new Set(known.rows.map(row => toObjectRef(row).objectKey));
      const added = objects.filter(({ objectKey }) => !kept.has(objectKey));
      await insertObjects(em, fileId, added);
      const owner = { uploadId: fileId, lease: REWRITE_LEASE };
      const cleared = await clearingPending(owner, added, ALWAYS).execute(db);
      requirePending(fileId, cleared.rows.length, added);
      if (isComplete)
        await sql`
        delete from superseded_objects where file_id = ${fileId} and revision <= ${revision}`.execute(db);
      return true;
    });
  }
}

/**
 * The parts of a statement that write the manifest of a new file, while `held` has a row: its `revision` is 1, or 2 where the
 * manifest, which is the first, is stale already. `cleared` has a row for each of its objects, or the statement must not stand.
 */
export function manifesting(
  upload: { uploadId: FileId; lease: number },
  { mapKey, escrowId, objects }: NewManifest,
  held: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { uploadId } = upload;
  return sql`
    manifest as (
      insert into manifests (file_id, map_key, escrow_id, revision, map_revision, written_revision)
      select ${uploadId}, ${mapKey}, ${escrowId}, revision, revision, 0 from ${held}
    ), manifest_parts as (
      ${adding(uploadId, objects, held)}
    ), cleared as (
      ${clearingPending(upload, objects, held)}
    )`;
}

/** Declares a file's manifest dead, and with it what only it still named, within the caller's transaction. */
export async function buryManifest(em: EntityManager, fileId: FileId): Promise<void> {
  const db = em.getKysely();
  await sql`delete from manifests where file_id = ${fileId}`.execute(db);
  await sql`delete from superseded_objects where file_id = ${fileId}`.execute(db);
  await buryObjects(em, fileId, sql`true`);
}

/** Declares dead those rows `o` of a file's manifest for which `condition` holds. */
async function buryObjects(em: EntityManager, fileId: FileId, condition: RawBuilder<unknown>): Promise<void> {
  await sql`
    with gone as (
      delete from manifest_objects o where file_id = ${fileId} and ${condition} returning bucket_id, object_key
    )
    insert into dead_objects (bucket_id, object_key) select bucket_id, object_key from gone`.execute(
    em.getKysely(),
  );
}

interface ManifestRow {
  readonly map_key: Uint8Array;
  readonly escrow_id: Uint8Array;
  readonly revision: string;
  readonly map_revision: string;
  readonly written_revision: string;
  readonly wrap: Uint8Array;
}

interface ManifestObjectRow extends ObjectRow {
  readonly part: number;
  readonly stored_bytes: number;
  readonly digest: Uint8Array;
}

function toManifestObject(row: ManifestObjectRow): ManifestObject {
  return {
    ...toObjectRef(row),
    part: row.part === ROOT ? "root" : row.part === SIGNPOST ? "signpost" : row.part,
    storedBytes: row.stored_bytes,
    digest: bytes(row.digest),
  };
}

export async function insertObjects(
  em: EntityManager,
  fileId: FileId,
  objects: readonly ManifestObject[],
): Promise<void> {
  await adding(fileId, objects, ALWAYS).execute(em.getKysely());
}

/** The statement that writes which objects are a manifest, also for a part of another one; none while `held` has no row. */
function adding(
  fileId: FileId,
  objects: readonly ManifestObject[],
  held: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { bucketIds, objectKeys } = objectColumns(objects);
  return sql`
    insert into manifest_objects (file_id, part, bucket_id, object_key, stored_bytes, digest)
    select ${fileId}, o.* from ${held}, unnest(
      ${objects.map(o => columnOf(o.part))}::int[], ${bucketIds}::smallint[], ${objectKeys}::uuid[],
      ${objects.map(o => o.storedBytes)}::int[], ${objects.map(o => o.digest)}::bytea[]) as o`;
}

export function columnOf(part: ManifestObject["part"]): number {
  if (part === "root") return ROOT;
  return part === "signpost" ? SIGNPOST : part;
}

/** Null: all. */
function laterThan(after: FileId | null) {
  return sql`file_id > ${after ?? "00000000-0000-0000-0000-000000000000"}::uuid`;
}
