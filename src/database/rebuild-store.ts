/**
 * Filling an empty database from manifests. The table of all objects that were listed is also the mark of a rebuild that
 * has not ended: it is there from the beginning to the end of one.
 */
import { randomBytes } from "node:crypto";
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ManifestObject } from "../core/manifest-ports.js";
import type { BucketId, ObjectKey, ObjectRef } from "../core/model.js";
import type {
  Leftovers,
  RebuildStore,
  RestoredFile,
  RestoredMap,
  RestoredSignpost,
} from "../core/rebuild-ports.js";
import { insertChunks } from "./chunk-map.js";
import { FileTable } from "./entities.js";
import { insertGrants } from "./grant-store.js";
import { columnOf, insertObjects, ROOT, SIGNPOST } from "./manifest-store.js";
import type { Database } from "./orm.js";
import { integer } from "./rows.js";

const GRANT_ID_BYTES = 16;
/** Keys that the report names for each bucket. */
const EXAMPLES = 20;

export class RebuildRows implements RebuildStore {
  constructor(private readonly database: Database) {}

  begin(): Promise<boolean> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      const found = await sql<{ is_unfinished: boolean; is_empty: boolean }>`
        select to_regclass('rebuild_objects') is not null as is_unfinished,
          not (exists (select from files) or exists (select from uploads) or exists (select from chunks)) as is_empty`.execute(
        db,
      );
      if (found.rows[0]?.is_unfinished) await sql`truncate rebuild_objects`.execute(db);
      else if (!found.rows[0]?.is_empty) return false;
      else
        await sql`create unlogged table rebuild_objects (bucket_id smallint not null, object_key uuid not null)`.execute(
          db,
        );
      return true;
    });
  }

  async note(
    bucketId: BucketId,
    keys: readonly ObjectKey[],
    signposts: readonly RestoredSignpost[],
  ): Promise<void> {
    await this.database.transaction(async em => {
      await sql`
        insert into rebuild_objects select ${bucketId}, unnest(${[...keys]}::uuid[])`.execute(em.getKysely());
      for (const { fileId, object } of signposts) await insertCopy(em, fileId, object);
    });
  }

  restore(restored: RestoredFile, map: RestoredMap): Promise<"restored" | "known" | "outdated"> {
    const { id } = restored.file;
    return this.database.transaction(async em => {
      const db = em.getKysely();
      // Copies of one file come from several buckets at once, and its row may be replaced: a row lock would lose its row.
      await sql`select pg_advisory_xact_lock(hashtextextended(${id}::text, 0))`.execute(db);
      if (!(await insertManifest(em, restored))) {
        const held = await sql<{ revision: string }>`
          select revision from manifests where file_id = ${id}`.execute(db);
        const revision = integer(held.rows[0]?.revision ?? 0);
        if (revision > restored.revision) {
          await buryRoot(em, restored.root);
          return "outdated";
        }
        if (revision === restored.revision) {
          await insertCopy(em, id, restored.root);
          return "known";
        }
        for (const table of ["manifests", "chunks", "grants"]) {
          await sql`delete from ${sql.table(table)} where file_id = ${id}`.execute(db);
        }
        await sql`
          with outdated as (
            delete from manifest_objects where file_id = ${id} and part >= ${ROOT}
            returning bucket_id, object_key, part
          )
          insert into dead_objects (bucket_id, object_key)
          select bucket_id, object_key from outdated where part = ${ROOT} on conflict do nothing`.execute(db);
        await sql`delete from files where id = ${id}`.execute(db);
        await insertManifest(em, restored);
      }
      const { objects, areAll } = await map.parts();
      if (!areAll) {
        await sql`
          update manifests set map_revision = revision, written_revision = revision - 1 where file_id = ${id}`.execute(
          db,
        );
      }
      await insertCopy(em, id, restored.root);
      await insertObjects(em, id, objects);
      for await (const chunks of map.chunks()) await insertChunks(em, id, chunks);
      await insertFile(em, restored);
      return "restored";
    });
  }

  finish(): Promise<Leftovers> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      await sql`
        delete from manifest_objects o
        where part = ${SIGNPOST} and not exists (select from manifests m where m.file_id = o.file_id)`.execute(
        db,
      );
      for (const part of [ROOT, SIGNPOST])
        await sql`
          update manifests m set written_revision = revision - 1 from files f
          where f.id = m.file_id and written_revision = revision and greatest(2, f.parity_chunks + 1) > (
            select count(*) from manifest_objects o where o.file_id = m.file_id and part = ${part})`.execute(
          db,
        );
      await sql`analyze rebuild_objects, chunks, manifest_objects`.execute(db);
      const unnamed = await sql<{ bucket_id: number; objects: string; examples: ObjectKey[] }>`
        select bucket_id, count(*) as objects,
          array_agg(replace(object_key::text, '-', '')) filter (where nth <= ${EXAMPLES}) as examples
        from (
          select bucket_id, object_key, row_number() over (partition by bucket_id order by object_key) as nth
          from rebuild_objects l
          where not exists (select from chunks c where c.bucket_id = l.bucket_id and c.object_key = l.object_key)
            and not exists (
              select from manifest_objects o where o.bucket_id = l.bucket_id and o.object_key = l.object_key)
            and not exists (
              select from dead_objects d where d.bucket_id = l.bucket_id and d.object_key = l.object_key)
        ) as u group by bucket_id order by bucket_id`.execute(db);
      const missing = await sql<{ chunks: string; files: string }>`
        select count(*) as chunks, count(distinct file_id) as files from chunks c
        where not exists (
          select from rebuild_objects l where c.bucket_id = l.bucket_id and c.object_key = l.object_key)`.execute(
        db,
      );
      await sql`drop table rebuild_objects`.execute(db);
      return {
        unnamed: unnamed.rows.map(row => {
          return { bucketId: row.bucket_id, objects: integer(row.objects), examples: row.examples };
        }),
        missing: {
          chunks: integer(missing.rows[0]?.chunks ?? 0),
          files: integer(missing.rows[0]?.files ?? 0),
        },
      };
    });
  }
}

/** False: there is one of the file already. */
async function insertManifest(
  em: EntityManager,
  { file, mapKey, escrowId, revision }: RestoredFile,
): Promise<boolean> {
  const { rows } = await sql`
    insert into manifests (file_id, map_key, escrow_id, revision, map_revision, written_revision)
    values (${file.id}, ${Buffer.from(mapKey)}, ${Buffer.from(escrowId)}, ${revision}, 0, ${revision})
    on conflict do nothing returning file_id`.execute(em.getKysely());
  return rows.length === 1;
}

/** The last of its kind in its bucket counts: one that was read before the rebuild was stopped is read again. */
async function insertCopy(em: EntityManager, fileId: FileId, copy: ManifestObject): Promise<void> {
  await sql`
    delete from manifest_objects
    where file_id = ${fileId} and part = ${columnOf(copy.part)} and bucket_id = ${copy.bucketId}`.execute(
    em.getKysely(),
  );
  await insertObjects(em, fileId, [copy]);
}

/** A manifest that a newer one has replaced is dead: else it would pass for one that this database does not know of. */
async function buryRoot(em: EntityManager, { bucketId, objectKey }: ObjectRef): Promise<void> {
  await sql`
    insert into dead_objects (bucket_id, object_key) values (${bucketId}, ${objectKey})
    on conflict do nothing`.execute(em.getKysely());
}

async function insertFile(em: EntityManager, { file, wrap }: RestoredFile): Promise<void> {
  const { parity, ...columns } = file;
  await em.insert(FileTable, {
    ...columns,
    ...parity,
    hash: Buffer.from(file.hash, "hex"),
    core: Buffer.from(file.core),
    seal: Buffer.from(file.seal),
    meta: Buffer.from(file.meta),
  });
  const id = randomBytes(GRANT_ID_BYTES);
  await insertGrants(em, [{ id, fileId: file.id, kind: "password", wrap, expiresAt: null, maxUses: null }]);
}
