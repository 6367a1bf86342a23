/** The `buckets` table: numbers for names, and what an administrator has said of each. */
import { sql } from "kysely";
import type { BucketId, BucketRecord, BucketState } from "../core/model.js";
import type { BucketDirectory } from "../core/ports.js";
import type { BucketRow } from "./entities.js";
import { BucketTable } from "./entities.js";
import type { Database } from "./orm.js";

export class BucketRows implements BucketDirectory {
  constructor(private readonly database: Database) {}

  async register(
    buckets: readonly Pick<BucketRecord, "name" | "provider" | "region">[],
  ): Promise<readonly BucketRecord[]> {
    const em = this.database.em();
    // Known ones are updated first: an insert that ends in a conflict would use up a number, and there are 32,767.
    await sql`
      with configured as (
        select * from unnest(
          ${buckets.map(b => b.name)}::text[], ${buckets.map(b => b.provider)}::text[], ${buckets.map(b => b.region)}::text[]
        ) as c (name, provider, region)
      ), known as (
        update buckets b set provider = c.provider, region = c.region
        from configured c where b.name = c.name returning b.name
      )
      insert into buckets (name, provider, region)
      select name, provider, region from configured where name not in (select name from known)
      on conflict (name) do nothing`.execute(em.getKysely());
    return this.list();
  }

  async list(): Promise<readonly BucketRecord[]> {
    const rows = await this.database.em().find(BucketTable, {}, { orderBy: { id: "asc" } });
    return rows.map(toBucket);
  }

  async update(id: BucketId, change: { state?: BucketState; weight?: number }): Promise<BucketRecord | null> {
    const em = this.database.em();
    if (Object.keys(change).length > 0) await em.nativeUpdate(BucketTable, { id }, change);
    const row = await em.findOne(BucketTable, { id });
    return row && toBucket(row);
  }
}

function toBucket({ id, name, provider, region, state, weight }: BucketRow): BucketRecord {
  return { id, name, provider, region, state, weight };
}
