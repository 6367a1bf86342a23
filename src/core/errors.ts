/**
 * What can go wrong, said once. Core throws a {@link VaultError} whose code says *what* happened; each door has one
 * exhaustive table that says how to answer (`api/errors.ts`). Buckets throw a {@link BucketError}; core turns it into a
 * code when it has run out of ways around it.
 */

/** Every cause a caller can be told of. The same cause has the same code at every door. */
export type Code =
  | "BAD_REQUEST"
  | "MISSING_FILE"
  | "MISSING_PASSWORD"
  | "PASSWORD_TOO_SHORT"
  | "PASSWORD_TOO_LONG"
  | "PASSWORD_TOO_COMMON"
  | "WRONG_PASSWORD"
  | "CHUNK_SIZE_OUT_OF_RANGE"
  | "EXPIRY_OUT_OF_RANGE"
  | "MAX_DOWNLOADS_OUT_OF_RANGE"
  | "INVALID_HASH"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "IDENTITY_UNAVAILABLE"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "SLOW_CLIENT"
  | "OFFSET_MISMATCH"
  | "UPLOAD_TAKEN_OVER"
  | "UPLOAD_ALREADY_FINISHED"
  | "UPLOAD_INCOMPLETE"
  | "UPLOAD_EXPIRED"
  | "FINAL_UPLOAD"
  | "UNSUPPORTED_TUS_VERSION"
  | "FILE_GONE"
  | "FILE_RETAINED"
  | "LINK_EXPIRED"
  | "LINK_ALREADY_REVOKED"
  | "FILE_TOO_LARGE"
  | "LENGTH_EXCEEDED"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "RANGE_NOT_SATISFIABLE"
  | "BUCKET_IN_USE"
  | "CHECKSUM_MISMATCH"
  | "CHECKSUM_TOO_LARGE"
  | "TOO_MANY_ATTEMPTS"
  | "RATE_LIMITED"
  | "BUSY"
  | "FILE_UNAVAILABLE"
  | "STORAGE_UNAVAILABLE"
  | "STORAGE_FULL"
  | "INTERNAL";

/** What a public sentence needs to name the limits: `{min}` in the table is filled from `facts.min`. */
export type Facts = Readonly<Record<string, string | number>>;

interface VaultErrorOptions extends ErrorOptions {
  /** The input that was wrong, by its REST name, e.g. `chunk_size`. */
  readonly field?: string;
  readonly facts?: Facts;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds?: number;
}

/** A failure with a cause that a caller can be told. The message is for the log: it names ids, never secrets. */
export class VaultError extends Error {
  override readonly name = "VaultError";
  readonly field: string | undefined;
  readonly facts: Facts;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: Code,
    message: string,
    options: VaultErrorOptions = {},
  ) {
    super(message, options);
    this.field = options.field;
    this.facts = options.facts ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/**
 * Why a bucket did not do what it was asked.
 *
 * - `unavailable`: may work when tried again (network, 429, 5xx, deadline); the only one that is retried
 * - `denied`: will not work until an operator acts (401, 403, no such bucket, read-only file system)
 * - `full`: no room left (quota, ENOSPC)
 * - `conflict`: the key already holds different bytes
 */
export type BucketFailure = "unavailable" | "denied" | "full" | "conflict";

/** A bucket's refusal. The message names bucket and object key, never content. */
export class BucketError extends Error {
  override readonly name = "BucketError";

  constructor(
    readonly failure: BucketFailure,
    message: string,
    options: ErrorOptions = {},
  ) {
    super(message, options);
  }
}
