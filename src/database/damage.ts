/** What has been found wrong with stored chunks. */
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { Damage, DamageReports } from "../core/ports.js";
import { CHUNK_STATES } from "./chunk-map.js";
import type { Database } from "./orm.js";

export class DamageRows implements DamageReports {
  constructor(private readonly database: Database) {}

  async report(fileId: FileId, damage: readonly Damage[]): Promise<void> {
    const chunks = damage.map(({ chunk }) => chunk);
    await sql`
      with damaged as (
        update chunks set state = note.state
        from unnest(${chunks.map(c => c.stripe)}::int[], ${chunks.map(c => c.shard)}::smallint[],
          ${chunks.map(c => c.objectKey)}::uuid[],
          ${damage.map(({ state }) => CHUNK_STATES.indexOf(state))}::smallint[]) as note (stripe, shard, object_key, state)
        where chunks.file_id = ${fileId} and chunks.stripe = note.stripe and chunks.shard = note.shard
          and chunks.object_key = note.object_key
        returning chunks.file_id
      )
      update files set status = 'degraded'
      where id in (select file_id from damaged) and status in ('available', 'degraded')`.execute(
      this.database.em().getKysely(),
    );
  }
}
