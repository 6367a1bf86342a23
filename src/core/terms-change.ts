/** What may become of the terms of a finished file. Pure: the store asks it under the lock of the file's row. */
import { VaultError } from "./errors.js";
import type { NewTerms, StoredFile } from "./model.js";
import type { TermLimits } from "./terms.js";
import { checkSeconds, checkUses } from "./terms.js";

/** What is absent stays as it is; null takes the limit away. */
export interface TermsChange {
  readonly expiresAt?: Date | null | undefined;
  /** Of the file's whole life: what has been had counts. */
  readonly maxDownloads?: number | null | undefined;
  /** Null would end a retention, which nothing does but time. */
  readonly retainUntil?: Date | null | undefined;
}

/**
 * The terms after the change, those that change alone. Throws FILE_GONE; EXPIRY_OUT_OF_RANGE for a time that is past or
 * further ahead than an upload may ask for; MAX_DOWNLOADS_OUT_OF_RANGE for fewer downloads than were had; FILE_RETAINED for
 * an earlier end of the retention under way.
 */
export function changedTerms(
  file: StoredFile,
  { expiresAt, maxDownloads, retainUntil }: TermsChange,
  { now, limits }: { now: Date; limits: TermLimits },
): NewTerms {
  if (file.status === "gone") throw new VaultError("FILE_GONE", `file ${file.id} is gone`, { field: "hash" });
  const { maxExpiresInSeconds } = limits;
  if (expiresAt) checkSeconds(secondsFrom(now, expiresAt), maxExpiresInSeconds, "expires_at");
  if (maxDownloads !== undefined) checkUses(maxDownloads, "max_downloads", Math.max(1, file.downloadCount));
  if (retainUntil !== undefined && file.isRetained && isEarlier(retainUntil, file.retainUntil)) {
    throw new VaultError("FILE_RETAINED", `file ${file.id} is retained for longer`, {
      field: "retain_until",
    });
  }
  if (retainUntil) checkSeconds(secondsFrom(now, retainUntil), maxExpiresInSeconds, "retain_until");
  return {
    ...(expiresAt !== undefined && { expiresAt }),
    ...(maxDownloads !== undefined && { maxDownloads }),
    ...(retainUntil && { retainUntil }),
  };
}

/** Rounded up: a moment ahead is ahead. */
function secondsFrom(now: Date, time: Date): number {
  return Math.ceil((time.getTime() - now.getTime()) / 1000);
}

function isEarlier(time: Date | null, than: Date | null): boolean {
  return time === null || (than !== null && time < than);
}
