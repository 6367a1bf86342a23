/** The audit log as administrators and the command line read it: by number, newest first or from the beginning. */
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { AuditEntry, AuditFilter, AuditHead, AuditPage, AuditTrail } from "../core/audit.js";
import type { FileId } from "../format/id.js";
import type { AuditRows } from "./audit-log.js";
import type { EntryRow } from "./audit-rows.js";
import { toAuditEntry } from "./audit-rows.js";
import type { Database } from "./orm.js";

/** A log that has ended is a number beyond all others. */
const NEWEST = Number.MAX_SAFE_INTEGER;

export class AuditTrailRows implements AuditTrail {
  constructor(
    private readonly database: Database,
    private readonly log: Pick<AuditRows, "chain">,
  ) {}

  async page(limit: number, before: number | null, filter: AuditFilter): Promise<AuditPage> {
    await this.log.chain();
    const conditions = [sql`seq < ${before ?? NEWEST}`, ...conditionsOf(filter)];
    const rows = await this.#read(sql`
      select * from audit_events where ${sql.join(conditions, sql` and `)} order by seq desc limit ${limit + 1}`);
    return toPage(rows, limit);
  }

  /** Lateral, so that each file's part reads its index from the end and stops at its limit. */
  async pagesOf(fileIds: readonly FileId[], limit: number, before: number | null): Promise<AuditPage[]> {
    await this.log.chain();
    const asked = [...new Set(fileIds)]; // one query may ask for a file twice
    const rows = await this.#read(sql`
      select e.* from unnest(${asked}::uuid[]) as f (id)
      cross join lateral (
        select * from audit_events where file_id = f.id and seq < ${before ?? NEWEST}
        order by seq desc limit ${limit + 1}
      ) as e
      order by e.seq desc`);
    const found = Map.groupBy(rows, ({ fileId }) => fileId);
    return fileIds.map(fileId => toPage(found.get(fileId) ?? [], limit));
  }

  async find(seq: number): Promise<AuditEntry | null> {
    const [entry] = await this.#read(sql`select * from audit_events where seq = ${seq}`);
    return entry ?? null;
  }

  entries(after: number, limit: number): Promise<readonly AuditEntry[]> {
    return this.#read(sql`select * from audit_events where seq > ${after} order by seq limit ${limit}`);
  }

  head(): Promise<AuditHead> {
    return this.log.chain();
  }

  async #read(query: RawBuilder<unknown>): Promise<AuditEntry[]> {
    const { rows } = await query.execute(this.database.em().getKysely());
    return (rows as EntryRow[]).map(toAuditEntry);
  }
}

/** One row more than asked for tells that the list goes on. */
function toPage(rows: readonly AuditEntry[], limit: number): AuditPage {
  return { entries: rows.slice(0, limit), hasNext: rows.length > limit };
}

function conditionsOf({ action, outcome, fileId, fileHash, bucketId, since, until }: AuditFilter) {
  return [
    action && sql`action = any(${action})`,
    outcome && sql`outcome = any(${outcome})`,
    fileId !== undefined && sql`file_id = ${fileId}`,
    // Not by the event's own hash: an upload's first events have none yet.
    fileHash !== undefined &&
      sql`file_id = (select id from files where hash = ${Buffer.from(fileHash, "hex")})`,
    bucketId !== undefined && sql`bucket_id = ${bucketId}`,
    since && sql`at >= ${since}`,
    until && sql`at < ${until}`,
  ].filter(condition => condition !== false && condition !== undefined);
}
