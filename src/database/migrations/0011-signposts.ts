/**
 * Signposts, and what the sweep spares because the buckets may know more than the database. Parts of `manifest_objects`
 * below 0 are -1, the manifest itself, and -2, signposts; every manifest is marked stale once, to get its signposts.
 */
import { Migration } from "@mikro-orm/migrations";

export class Signposts extends Migration {
  override up(): void {
    this.addSql(`alter table manifest_objects drop constraint manifest_objects_part_check`);
    this.addSql(`alter table manifest_objects add constraint manifest_objects_part_check check (part >= -2)`);
    this.addSql(`update manifests set written_revision = revision - 1 where written_revision = revision`);
    for (const table of ["uploads", "files", "pending_objects"])
      this.addSql(`alter table ${table} add column spared_until timestamptz`);
    for (const column of MOVE) this.addSql(`alter table pending_objects add column ${column}`);
  }
}

/** The chunk whose object a pending one is to replace: null for all others, and for moves that began before this. */
const MOVE = ["file_id uuid", "stripe int", "shard smallint"];
