/** The bounds of what an uploader may ask for: how long and how often the file may be had. */
import { VaultError } from "./errors.js";
import type { FileTerms } from "./model.js";

export interface TermLimits {
  readonly maxExpiresInSeconds: number;
}

const MIN_EXPIRES_IN_SECONDS = 1;
/** `Int` of GraphQL, and the width of the column. */
export const MAX_DOWNLOADS = 2 ** 31 - 1;

/** Throws EXPIRY_OUT_OF_RANGE, MAX_DOWNLOADS_OUT_OF_RANGE. */
export function checkTerms(terms: FileTerms, limits: TermLimits): void {
  checkSeconds(terms.expiresInSeconds, limits.maxExpiresInSeconds);
  checkUses(terms.maxDownloads, "max_downloads");
}

/** Throws EXPIRY_OUT_OF_RANGE. */
export function checkSeconds(seconds: number | null, max: number, field = "expires_in"): void {
  if (seconds === null || (Number.isInteger(seconds) && seconds >= MIN_EXPIRES_IN_SECONDS && seconds <= max))
    return;
  const facts = { min: MIN_EXPIRES_IN_SECONDS, max };
  throw new VaultError("EXPIRY_OUT_OF_RANGE", `${seconds} seconds`, { field, facts });
}

/** Throws MAX_DOWNLOADS_OUT_OF_RANGE. */
export function checkUses(uses: number | null, field: string, min = 1): void {
  if (uses === null || (Number.isInteger(uses) && uses >= min && uses <= MAX_DOWNLOADS)) return;
  throw new VaultError("MAX_DOWNLOADS_OUT_OF_RANGE", `${uses}`, {
    field,
    facts: { min, max: MAX_DOWNLOADS },
  });
}
