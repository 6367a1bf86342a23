/** What has been found wrong with stored chunks. */
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ChunkRecord } from "../core/model.js";
import type { DamageReports } from "../core/ports.js";
import { CHUNK_STATES } from "./chunk-map.js";
import type { Database } from "./orm.js";

export class DamageRows implements DamageReports {
  constructor(private readonly database: Database) {}

  async report(fileId: FileId, chunk: ChunkRecord, state: "missing" | "corrupt"): Promise<void> {
    await sql`
      with damaged as (
        update chunks set state = ${CHUNK_STATES.indexOf(state)}
        where file_id = ${fileId} and stripe = ${chunk.stripe} and shard = ${chunk.shard}
          and object_key = ${chunk.objectKey}
        returning file_id
      )
      update files set status = 'degraded'
      where id in (select file_id from damaged) and status in ('available', 'degraded')`.execute(
      this.database.em().getKysely(),
    );
  }
}
