/** What is known of the health of chunks, and where the scrub stands. */
import { sql } from "kysely";
import type { ChunkHealth, DamagedFiles, ScrubPlace, ScrubPlaces } from "../core/health-ports.js";
import type { ChunkRecord, FileStatus } from "../core/model.js";
import type { FileId } from "../format/id.js";
import type { ChunkRow } from "./chunk-map.js";
import { toChunkRecord } from "./chunk-map.js";
import type { Database } from "./orm.js";
import { integer } from "./rows.js";

export class HealthRows implements ChunkHealth, DamagedFiles, ScrubPlaces {
  constructor(private readonly database: Database) {}

  async damagedFiles(after: FileId | null, limit: number): Promise<readonly FileId[]> {
    const { rows } = await sql<{ id: FileId }>`
      select id from files
      where status in ('degraded', 'unavailable') and (${after}::uuid is null or id > ${after}::uuid)
      order by id limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(({ id }) => id);
  }

  async damagedCount(): Promise<number> {
    const { rows } = await sql<{ count: string }>`
      select count(*) from files where status in ('degraded', 'unavailable')`.execute(
      this.database.em().getKysely(),
    );
    return integer(rows[0]?.count ?? 0);
  }

  async damaged(
    fileId: FileId,
    after: Pick<ChunkRecord, "stripe" | "shard">,
    limit: number,
  ): Promise<readonly ChunkRecord[]> {
    const { rows } = await sql<ChunkRow>`
      select stripe, shard, bucket_id, object_key, stored_bytes, digest from chunks
      where file_id = ${fileId} and state <> 0
        and (stripe, shard) > (${after.stripe}::int, ${after.shard}::smallint)
      order by stripe, shard limit ${limit}`.execute(this.database.em().getKysely());
    return rows.map(toChunkRecord);
  }

  async verified(fileId: FileId, chunks: readonly ChunkRecord[]): Promise<void> {
    if (chunks.length === 0) return;
    await sql`
      update chunks c set state = 0, last_verified_at = now()
      from unnest(${chunks.map(c => c.stripe)}::int[], ${chunks.map(c => c.shard)}::smallint[],
        ${chunks.map(c => c.objectKey)}::uuid[]) as v (stripe, shard, object_key)
      where c.file_id = ${fileId} and c.stripe = v.stripe and c.shard = v.shard and c.object_key = v.object_key`.execute(
      this.database.em().getKysely(),
    );
  }

  settle(fileId: FileId): Promise<FileStatus> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      // The row first, then what is counted: damage that is told of meanwhile waits for this row, and wins.
      await sql`select from files where id = ${fileId} for update`.execute(db);
      const { rows } = await sql<{ status: FileStatus }>`
        update files f set status = case
            when coalesce(worst.bad, 0) = 0 then 'available'
            when worst.bad <= f.parity_chunks then 'degraded'
            else 'unavailable' end
        from (select max(bad) as bad from (
          select count(*) as bad from chunks where file_id = ${fileId} and state <> 0 group by stripe) as s) as worst
        where f.id = ${fileId} and f.status <> 'gone'
        returning f.status`.execute(db);
      return rows[0]?.status ?? "gone";
    });
  }

  async next(): Promise<ScrubPlace | null> {
    const { rows } = await sql<{ id: FileId; scrub_stripe: number }>`
      select id, scrub_stripe from files where status <> 'gone'
      order by scrubbed_at, id limit 1`.execute(this.database.em().getKysely());
    const [row] = rows;
    return row ? { fileId: row.id, stripe: row.scrub_stripe } : null;
  }

  async reached(fileId: FileId, stripe: number | null): Promise<void> {
    await sql`
      update files set scrub_stripe = ${stripe ?? 0},
        scrubbed_at = case when ${stripe === null} then now() else scrubbed_at end
      where id = ${fileId}`.execute(this.database.em().getKysely());
  }
}
