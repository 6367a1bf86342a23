/**
 * What an entry of the audit log commits to, and the check of a whole log. Every field is hashed as the text that an
 * export shows, each behind its length, so that no two entries have the same bytes and a stranger can verify a dump with
 * SHA-256 alone (docs/audit.md has it to the byte, and a verifier in Python).
 */
import { createHash } from "node:crypto";
import type { AuditEntry, AuditHead } from "./audit.js";
import { NO_ENTRIES } from "./audit.js";

const LABEL = "sv/audit/1";
/** In place of a length: there is no value. */
const NULL_LENGTH = 0xffff_ffff;
const LENGTH_BYTES = 4;

/** An entry as an export shows it: its fields in the order in which they are hashed, then the hash. */
export function auditFields(entry: Omit<AuditEntry, "hash">) {
  return {
    seq: entry.seq,
    at: entry.at.toISOString(),
    action: entry.action,
    outcome: entry.outcome,
    fileId: entry.fileId,
    fileHash: entry.fileHash,
    bucketId: entry.bucketId,
    actor: entry.actor,
    clientIp: entry.clientIp,
    requestId: entry.requestId,
    code: entry.code,
    count: entry.count,
    previous: entry.previous,
  };
}

/** 64 hex digits over the label and all fields, the hash before among them. */
export function auditHash(entry: Omit<AuditEntry, "hash">): string {
  const hash = createHash("sha256").update(LABEL);
  for (const value of Object.values(auditFields(entry))) hash.update(prefixed(value));
  return hash.digest("hex");
}

/** Length in four bytes, then UTF-8. */
function prefixed(value: string | number | null): Uint8Array {
  const length = Buffer.alloc(LENGTH_BYTES);
  if (value === null) {
    length.writeUInt32BE(NULL_LENGTH);
    return length;
  }
  const text = Buffer.from(String(value));
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}

/** What a log was found to be: whole up to its head, or broken, and where first. */
export type AuditVerdict =
  | { readonly isWhole: true; readonly head: AuditHead }
  | { readonly isWhole: false; readonly seq: number; readonly problem: string };

export interface AuditExpectation {
  /** The head before the first entry that is looked at: of an archived part. */
  readonly from?: AuditHead;
  /** A head of an earlier run, kept elsewhere: the log must still have that entry. */
  readonly expected?: AuditHead;
  /** What the log itself says its head is, now. */
  readonly claimed?: () => Promise<AuditHead>;
}

/** Checks entries, oldest first, one after the other; holds only one at a time. The log may grow meanwhile. */
export async function verifyAudit(
  entries: AsyncIterable<AuditEntry>,
  { from = NO_ENTRIES, expected, claimed }: AuditExpectation = {},
): Promise<AuditVerdict> {
  const known = [expected, await claimed?.()].filter(one => one !== undefined);
  let head = from;
  for await (const entry of entries) {
    const problem = problemOf(entry, head) ?? unexpected(entry, known);
    if (problem) return { isWhole: false, seq: head.seq + 1, problem };
    head = { seq: entry.seq, hash: entry.hash };
  }
  const missing = known.find(one => one.seq > head.seq);
  if (missing) {
    const problem = `the log ends at entry ${head.seq}, and it had entry ${missing.seq}`;
    return { isWhole: false, seq: head.seq + 1, problem };
  }
  const end = await claimed?.();
  if (end && end.seq < head.seq) {
    const problem = `entry ${end.seq + 1} lies beyond the head of the log, entry ${end.seq}`;
    return { isWhole: false, seq: end.seq + 1, problem };
  }
  return { isWhole: true, head };
}

function problemOf(entry: AuditEntry, { seq, hash }: AuditHead): string | null {
  if (entry.seq !== seq + 1)
    return `entry ${seq + 1} is missing: entry ${entry.seq} comes after entry ${seq}`;
  if (entry.previous !== hash) return `entry ${entry.seq} does not follow from entry ${seq}`;
  return auditHash(entry) === entry.hash ? null : `entry ${entry.seq} is not what its hash says`;
}

function unexpected({ seq, hash }: AuditHead, known: readonly AuditHead[]): string | null {
  if (known.every(one => one.seq !== seq || one.hash === hash)) return null;
  return `entry ${seq} is not the one that it was: the log was written anew`;
}
