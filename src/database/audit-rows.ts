/** Entries of the audit log as PostgreSQL gives them. */
import type { AuditAction, AuditEntry, AuditOutcome } from "../core/audit.js";
import { hex, integer } from "./rows.js";

/** The columns that an event has before it is chained. */
export interface EventRow {
  readonly at: Date;
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  readonly file_id: string | null;
  readonly file_hash: Uint8Array | null;
  readonly bucket_id: number | null;
  readonly actor: string | null;
  readonly client_ip: string | null;
  readonly request_id: string | null;
  readonly code: string | null;
  readonly count: number;
}

export interface EntryRow extends EventRow {
  readonly seq: string | number;
  readonly previous: Uint8Array;
  readonly hash: Uint8Array;
}

export function toAuditEntry(row: EntryRow): AuditEntry {
  return {
    seq: integer(row.seq),
    at: new Date(row.at),
    action: row.action,
    outcome: row.outcome,
    fileId: row.file_id,
    fileHash: row.file_hash && hex(row.file_hash),
    bucketId: row.bucket_id,
    actor: row.actor,
    clientIp: row.client_ip,
    requestId: row.request_id,
    code: row.code,
    count: row.count,
    previous: hex(row.previous),
    hash: hex(row.hash),
  };
}
