/** The ports of grants: who may open a file, and each use of a link. */
import type { FileId } from "../format/id.js";
import type { AuditEvent } from "./audit.js";
import type { Grant, GrantKind } from "./model.js";

/** A grant as it is written; `expiresAt` is made by the caller with `Clock.now`. */
export type NewGrant = Pick<Grant, "id" | "fileId" | "kind" | "wrap" | "expiresAt" | "maxUses"> &
  Partial<Pick<Grant, "disposition">>;

/** Grants of finished files. */
export interface GrantStore {
  /**
   * Adds a link, made by who opened the file with the password grant `openedBy`. Null: that password has been replaced
   * meanwhile. Throws FILE_GONE.
   */
  add(grant: NewGrant, openedBy: Uint8Array, event?: AuditEvent): Promise<Grant | null>;
  /** By id, or the file's password grant. */
  find(by: { id: Uint8Array; kind: GrantKind } | { passwordOf: FileId }): Promise<Grant | null>;
  /**
   * Puts `grant` in the place of the file's password grant `oldId`, and revokes the file's links where asked, in one
   * transaction. False: `oldId` is not the file's password any more. Throws FILE_GONE.
   */
  replacePassword(
    oldId: Uint8Array,
    grant: NewGrant,
    also: { revokeLinks: boolean },
    event?: AuditEvent,
  ): Promise<boolean>;
  /** Ends a link, also for those who begin a use of it at the same moment. Null: it is unknown, or revoked already. */
  revoke(linkId: Uint8Array, event?: AuditEvent): Promise<Grant | null>;
}

/** Uses of links, each of which is a download of the file. */
export interface UseStore {
  /**
   * Begins a use of the link for a request that starts at byte `start`, and counts a download of its file, both or neither.
   * Exact under concurrency. A start at byte 0 begins a use; a later start continues one that has begun and not ended,
   * and begins one only if there is none. `refused`: the link is over. `exhausted`: the file has no download left, or is
   * gone or expired.
   */
  begin(linkId: Uint8Array, start: number): Promise<"begun" | "continued" | "refused" | "exhausted">;
  /** Ends one begun use: the last byte has been delivered. True: the file has no download left, and may be over. */
  end(linkId: Uint8Array): Promise<boolean>;
}
