/**
 * How core tells what happens: one call around each thing that somebody asks for. What succeeds is recorded by the work
 * itself, in the transaction that does it; what is refused or breaks is recorded here.
 */
import type { FileId } from "../format/id.js";
import type { AuditAction, AuditEvent, AuditLog, AuditOutcome } from "./audit.js";
import type { Code } from "./errors.js";
import { VaultError } from "./errors.js";
import type { BucketId, Caller } from "./model.js";
import type { Log } from "./ports.js";
import { Refusals } from "./refusals.js";

/** Longest name, address or request id that is kept, in characters. */
const MAX_TEXT_LENGTH = 128;

/** What somebody asks for. */
export interface Act {
  readonly action: AuditAction;
  /** Null: nobody; the service does it by itself. */
  readonly caller: Caller | null;
  readonly fileId?: FileId;
  readonly bucketId?: BucketId;
}

/** The codes that are worth an entry. All others are mistakes (a malformed hash, no password) or tell of no file. */
const OUTCOMES: Partial<Record<Code, Exclude<AuditOutcome, "SUCCESS">>> = {
  UNAUTHENTICATED: "DENIED",
  FORBIDDEN: "DENIED",
  WRONG_PASSWORD: "DENIED",
  TOO_MANY_ATTEMPTS: "DENIED",
  RATE_LIMITED: "DENIED",
  FILE_RETAINED: "DENIED",
  FILE_GONE: "DENIED",
  LINK_EXPIRED: "DENIED",
  BUCKET_IN_USE: "DENIED",
  CHECKSUM_MISMATCH: "FAILED",
  FILE_UNAVAILABLE: "FAILED",
  STORAGE_UNAVAILABLE: "FAILED",
  STORAGE_FULL: "FAILED",
};

export class Auditor {
  readonly #refusals: Refusals;

  constructor(
    private readonly log: AuditLog,
    logger: Log,
  ) {
    this.#refusals = new Refusals(log, logger);
  }

  /**
   * Runs `work`, which is given the event of its success: a store writes it in the transaction that does the thing, or
   * `work` awaits {@link record} before it returns. So nothing that must be audited is answered without its entry.
   */
  async attempt<T>(act: Act, work: (success: AuditEvent) => Promise<T>): Promise<T> {
    try {
      const result = await work(eventOf(act));
      this.log.chainSoon();
      return result;
    } catch (error) {
      await this.failed(act, error);
      throw error;
    }
  }

  /** Resolves once the event is durable. */
  record(event: AuditEvent): Promise<void> {
    return this.log.record(event);
  }

  /** Records that `act` was refused or broke, if the error is of that kind. Never rejects: the error is what counts. */
  async failed(act: Act, error: unknown): Promise<void> {
    const code = error instanceof VaultError ? error.code : null;
    const outcome = code === null ? undefined : OUTCOMES[code];
    if (outcome) await this.#refusals.take({ ...eventOf(act), outcome, code });
  }

  /** Writes what is still only counted. */
  close(): Promise<void> {
    return this.#refusals.flush();
  }
}

/** The event of a success. */
export function eventOf({ action, caller, fileId, bucketId }: Act): AuditEvent {
  return {
    action,
    outcome: "SUCCESS",
    fileId: fileId ?? null,
    bucketId: bucketId ?? null,
    actor: printable(caller?.name),
    clientIp: printable(caller?.ip),
    requestId: printable(caller?.requestId),
    code: null,
    count: 1,
  };
}

/** What others have said, bounded, and without control characters, on which a terminal or a text column would choke. */
function printable(text: string | null | undefined): string | null {
  return text?.slice(0, MAX_TEXT_LENGTH).replace(/\p{C}/gu, "\u{fffd}") ?? null;
}
