/**
 * The audit log's words and ports: who did what to which file, and what came of it. Never a secret: an entry names a
 * file by its id and its hash, a caller by name and address, a reason by its code (docs/audit.md).
 */
import type { FileId } from "../format/id.js";
import type { BucketId } from "./model.js";

export const AUDIT_ACTIONS = [
  "UPLOAD_CREATED",
  "UPLOAD_FINISHED",
  "UPLOAD_ABANDONED",
  "FILE_UNLOCKED",
  "LINK_CREATED",
  "LINK_REVOKED",
  "FILE_DOWNLOADED",
  "FILE_UPDATED",
  "FILE_DELETED",
  "FILE_EXPIRED",
  "FILE_VERIFIED",
  "BUCKET_CHANGED",
  "CHUNK_REPAIRED",
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** `DENIED`: a rule of ours refused it · `FAILED`: it was allowed, and something broke. */
export const AUDIT_OUTCOMES = ["SUCCESS", "DENIED", "FAILED"] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** Something that happened, before it has its place in the log. */
export interface AuditEvent {
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  /** The upload, and the file that came of it. The store adds the file's hash. */
  readonly fileId: FileId | null;
  readonly bucketId: BucketId | null;
  /** An authenticated caller's name; null for the public, and for what the service does by itself. */
  readonly actor: string | null;
  /** Null for what the service does by itself. */
  readonly clientIp: string | null;
  readonly requestId: string | null;
  /** Why, as an error's code; null where there is nothing to add. */
  readonly code: string | null;
  /** How many events this one stands for: refusals beyond what is written one by one are summed. */
  readonly count: number;
}

/** An event in its place: entries are numbered without a gap, and each commits to the one before. */
export interface AuditEntry extends AuditEvent {
  /** From 1. */
  readonly seq: number;
  /** When it was recorded, by the database's clock; entries are in the order in which they were chained. */
  readonly at: Date;
  readonly fileHash: string | null;
  /** The hash of the entry before: 64 hex digits. */
  readonly previous: string;
  /** audit-chain.ts says of what. */
  readonly hash: string;
}

/** The newest entry. Kept elsewhere, it proves later that nothing up to it was changed or removed. */
export type AuditHead = Pick<AuditEntry, "seq" | "hash">;

/** The head of a log without entries: what the first one commits to. */
export const NO_ENTRIES: AuditHead = { seq: 0, hash: "0".repeat(64) };

/** Where events are recorded. */
export interface AuditLog {
  /** Resolves once the event is durable. It gets its place in the chain soon after. */
  record(event: AuditEvent): Promise<void>;
  /** Asks for a place in the chain for what is durable by now; returns at once. Many calls cost what one does. */
  chainSoon(): void;
}

/** What an administrator asks for; absent: any. */
export interface AuditFilter {
  readonly action?: readonly AuditAction[];
  readonly outcome?: readonly AuditOutcome[];
  /** The upload's and the file's events. */
  readonly fileId?: FileId;
  /** The same by the file's hash. */
  readonly fileHash?: string;
  readonly bucketId?: BucketId;
  /** Inclusive. */
  readonly since?: Date;
  /** Exclusive. */
  readonly until?: Date;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  readonly hasNext: boolean;
}

/** The log as it is read. Everything that was durable at the time of the call has its place in what it returns. */
export interface AuditTrail {
  /** Newest first, those before entry `before` where it is given. */
  page(limit: number, before: number | null, filter: AuditFilter): Promise<AuditPage>;
  /** {@link page} of each of several files, in their order. */
  pagesOf(fileIds: readonly FileId[], limit: number, before: number | null): Promise<readonly AuditPage[]>;
  find(seq: number): Promise<AuditEntry | null>;
  /** Oldest first, those after entry `after`. */
  entries(after: number, limit: number): Promise<readonly AuditEntry[]>;
  /** What the log itself says its newest entry is. */
  head(): Promise<AuditHead>;
}
