/**
 * The audit log. Recording is an insert into `audit_inbox`, in the transaction of what happened where there is one, so
 * that writers never wait for one another; the chain is made from there in batches, by one process at a time.
 */
import type { EntityManager } from "@mikro-orm/postgresql";
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { AuditEntry, AuditEvent, AuditHead, AuditLog } from "../core/audit.js";
import { auditHash } from "../core/audit-chain.js";
import type { Log } from "../core/ports.js";
import type { EntryRow, EventRow } from "./audit-rows.js";
import { toAuditEntry } from "./audit-rows.js";
import type { Database } from "./orm.js";
import { ALWAYS, hex, integer } from "./rows.js";

/** Events that one transaction chains. */
const BATCH = 1000;
/** How long events are let gather before they are chained, in milliseconds. */
const GATHER_MS = 25;

export class AuditRows implements AuditLog {
  #chaining: Promise<void> | undefined;
  #isMore = false;

  constructor(
    private readonly database: Database,
    private readonly log: Log,
  ) {}

  async record(event: AuditEvent): Promise<void> {
    await recordAudit(this.database.em(), event);
    this.chainSoon();
  }

  chainSoon(): void {
    this.#isMore = true;
    this.#chaining ??= this.#chainAll().finally(() => {
      this.#chaining = undefined;
    });
  }

  /** Gives everything in the inbox its place, and returns the head. Processes that do it at once take turns. */
  async chain(): Promise<AuditHead> {
    for (;;) {
      const { waiting, ...head } = await this.#look();
      if (!waiting) return head;
      await chainBatch(this.database);
    }
  }

  /** Waits for the chaining under way: the database is closed next. */
  async close(): Promise<void> {
    await this.#chaining;
  }

  /** Takes no lock: with nothing to do, which is most of the time, readers disturb nobody. */
  async #look(): Promise<AuditHead & { waiting: boolean }> {
    const { rows } = await sql<HeadRow & { waiting: boolean }>`
      select seq, hash, exists (select from audit_inbox) as waiting from audit_head`.execute(
      this.database.em().getKysely(),
    );
    return { ...headOf(rows), waiting: rows[0]?.waiting === true };
  }

  /** One at a time in this process: others would only wait for the head, each with a connection of the pool. */
  async #chainAll(): Promise<void> {
    while (this.#isMore) {
      await new Promise(resolve => setTimeout(resolve, GATHER_MS));
      this.#isMore = false; // what is recorded from here on may be too late for this batch
      try {
        await this.chain();
      } catch (error) {
        this.log.warn("audit events wait to be chained", { reason: String(error) }); // the next call tries again
      }
    }
  }
}

/**
 * Records `event` within the caller's transaction, if there is one. The hash is the file's, where the upload has become
 * one: nobody who records an event needs to know it.
 */
export async function recordAudit(em: EntityManager, event: AuditEvent | undefined): Promise<void> {
  if (!event) return;
  const fileHash = sql`(select hash from files where id = ${event.fileId})`;
  await auditing(event, fileHash, ALWAYS).execute(em.getKysely());
}

/**
 * The statement that records `event`, also for a part of another one; nothing while `held` has no row, as nothing has happened
 * then. The hash is the caller's to give: a file that the other parts make is not seen by this one.
 */
export function auditing(
  event: AuditEvent,
  fileHash: RawBuilder<unknown>,
  held: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const { action, outcome, fileId, bucketId, actor, clientIp, requestId, code, count } = event;
  return sql`
    insert into audit_inbox
      (action, outcome, file_id, file_hash, bucket_id, actor, client_ip, request_id, code, count)
    select ${action}, ${outcome}, ${fileId}, ${fileHash}, ${bucketId}, ${actor},
      ${clientIp}, ${requestId}, ${code}, ${count}
    from ${held}`;
}

/** One batch. The row of the head is the lock: of processes that chain at once, each goes on from the other's head. */
function chainBatch(database: Database): Promise<void> {
  return database.transaction(async em => {
    const db = em.getKysely();
    const locked = await sql<HeadRow>`select seq, hash from audit_head for update`.execute(db);
    let head = headOf(locked.rows);
    const taken = await sql<EventRow & { id: string }>`
      delete from audit_inbox where id in (select id from audit_inbox order by id limit ${BATCH})
      returning *`.execute(db);
    if (taken.rows.length === 0) return; // another process was faster
    const events = taken.rows.toSorted((a, b) => integer(a.id) - integer(b.id));
    const entries = events.map(event => {
      const entry = chained(event, head);
      head = { seq: entry.seq, hash: entry.hash };
      return entry;
    });
    await insertEntries(em, events, entries);
    await sql`update audit_head set seq = ${head.seq}, hash = ${Buffer.from(head.hash, "hex")}`.execute(db);
  });
}

interface HeadRow {
  readonly seq: string;
  readonly hash: Uint8Array;
}

function headOf([row]: readonly HeadRow[]): AuditHead {
  if (!row) throw new Error("the audit log has no head");
  return { seq: integer(row.seq), hash: hex(row.hash) };
}

function chained(event: EventRow, head: AuditHead): AuditEntry {
  const seq = head.seq + 1;
  const entry = toAuditEntry({
    ...event,
    seq,
    previous: Buffer.from(head.hash, "hex"),
    hash: Buffer.alloc(0),
  });
  return { ...entry, hash: auditHash(entry) };
}

/** By columns, so that any number of rows is one statement of fixed text. */
async function insertEntries(
  em: EntityManager,
  events: readonly EventRow[],
  entries: readonly AuditEntry[],
): Promise<void> {
  const column = <K extends keyof EventRow>(name: K) => events.map(event => event[name]);
  const rows: Record<keyof EntryRow, readonly unknown[]> = {
    seq: entries.map(entry => entry.seq),
    at: column("at"),
    action: column("action"),
    outcome: column("outcome"),
    file_id: column("file_id"),
    file_hash: column("file_hash"),
    bucket_id: column("bucket_id"),
    actor: column("actor"),
    client_ip: column("client_ip"),
    request_id: column("request_id"),
    code: column("code"),
    count: column("count"),
    previous: entries.map(entry => Buffer.from(entry.previous, "hex")),
    hash: entries.map(entry => Buffer.from(entry.hash, "hex")),
  };
  await sql`
    insert into audit_events (seq, at, action, outcome, file_id, file_hash, bucket_id, actor, client_ip, request_id,
      code, count, previous, hash)
    select * from unnest(${rows.seq}::bigint[], ${rows.at}::timestamptz[], ${rows.action}::text[],
      ${rows.outcome}::text[], ${rows.file_id}::uuid[], ${rows.file_hash}::bytea[], ${rows.bucket_id}::smallint[],
      ${rows.actor}::text[], ${rows.client_ip}::text[], ${rows.request_id}::text[], ${rows.code}::text[],
      ${rows.count}::int[], ${rows.previous}::bytea[], ${rows.hash}::bytea[])`.execute(em.getKysely());
}
