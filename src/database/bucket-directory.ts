/** The `buckets` table: numbers for names, and what an administrator has said of each. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { AuditEvent } from "../core/audit.js";
import type { BucketId, BucketRecord } from "../core/model.js";
import type { BucketChange, BucketContents, BucketDirectory, BucketStep } from "../core/ports.js";
import type { BucketRow } from "./entities.js";
import { BucketTable } from "./entities.js";
import { recordAudit } from "./audit-log.js";
import type { Database } from "./orm.js";
import { readUsage } from "./usage.js";

export class BucketRows implements BucketDirectory {
  constructor(private readonly database: Database) {}

  async register(
    buckets: readonly Pick<BucketRecord, "name" | "provider" | "region" | "domain">[],
  ): Promise<readonly BucketRecord[]> {
    const em = this.database.em();
    // Known ones are updated first: an insert that ends in a conflict would use up a number, and there are 32,767.
    await sql`
      with configured as (
        select * from unnest(
          ${buckets.map(b => b.name)}::text[], ${buckets.map(b => b.provider)}::text[],
          ${buckets.map(b => b.region)}::text[], ${buckets.map(b => b.domain)}::text[]
        ) as c (name, provider, region, domain)
      ), known as (
        update buckets b set provider = c.provider, region = c.region, domain = c.domain
        from configured c where b.name = c.name returning b.name
      )
      insert into buckets (name, provider, region, domain)
      select name, provider, region, domain from configured where name not in (select name from known)
      on conflict (name) do nothing`.execute(em.getKysely());
    return this.list();
  }

  list(): Promise<readonly BucketRecord[]> {
    return listBuckets(this.database.em());
  }

  update(
    id: BucketId,
    change: BucketChange,
    rule: (step: BucketStep) => void,
    event?: AuditEvent,
  ): Promise<BucketRecord | null> {
    return this.database.transaction(async em => {
      // Changes take turns: two at once could each leave the other's bucket as the last that takes chunks.
      await sql`select from buckets order by id for update`.execute(em.getKysely());
      const all = await listBuckets(em);
      const before = all.find(bucket => bucket.id === id);
      if (!before) return null;
      const after = { ...before, ...change };
      const others = all.filter(bucket => bucket.id !== id);
      rule({ before, after, others, contents: await readContents(em, id) });
      if (Object.keys(change).length > 0) await em.nativeUpdate(BucketTable, { id }, change);
      await recordAudit(em, event);
      return after;
    });
  }

  contents(id: BucketId): Promise<BucketContents> {
    return readContents(this.database.em(), id);
  }
}

async function listBuckets(em: EntityManager): Promise<readonly BucketRecord[]> {
  return (await em.find(BucketTable, {}, { orderBy: { id: "asc" } })).map(toBucket);
}

/** Reservations that nobody can commit any more (dead-objects.ts) do not count: the sweep will take them. */
async function readContents(em: EntityManager, id: BucketId): Promise<BucketContents> {
  const { rows } = await sql<Record<"manifests" | "tails" | "reserved" | "dead", string>>`
    select
      (select count(*) from manifest_objects where bucket_id = ${id}) as manifests,
      (select count(*) from uploads where stage = 'receiving' and tail_bucket_id = ${id}) as tails,
      (select count(*) from pending_objects p left join uploads u on u.id = p.upload_id
       where p.bucket_id = ${id}
         and (p.held_until > now() or (u.stage = 'receiving' and u.lease = p.lease))) as reserved,
      (select count(*) from dead_objects where bucket_id = ${id}) as dead`.execute(em.getKysely());
  const usage = (await readUsage(em)).find(({ bucketId }) => bucketId === id);
  return {
    chunkCount: usage?.chunkCount ?? 0,
    storedBytes: usage?.storedBytes ?? 0,
    manifestCount: Number(rows[0]?.manifests),
    tailCount: Number(rows[0]?.tails),
    reservedCount: Number(rows[0]?.reserved),
    deadCount: Number(rows[0]?.dead),
  };
}

function toBucket({ id, name, provider, region, domain, state, weight }: BucketRow): BucketRecord {
  return { id, name, provider, region, domain, state, weight };
}
