/**
 * How each cause is told to people: the one catalogue, for all doors. A new code in core does not compile until it has
 * an answer here. What a caller reads is the sentence; an error's own message is for the log alone.
 */
import type { Code, Facts } from "../core/errors.js";
import { BucketError, VaultError } from "../core/errors.js";

interface Entry {
  readonly status: number;
  /** `{min}` and the like are filled from the error's facts. */
  readonly sentence: string;
}

/** tus's own status for a checksum that does not match. */
const CHECKSUM_MISMATCH_STATUS = 460;

export const ANSWERS = {
  BAD_REQUEST: { status: 400, sentence: "The request could not be understood. {reason}" },
  MISSING_FILE: {
    status: 400,
    sentence: "There is no file: send it as a multipart part named “file” that has a file name.",
  },
  MISSING_PASSWORD: { status: 400, sentence: "This needs the password of the file." },
  PASSWORD_TOO_SHORT: { status: 422, sentence: "The password must have at least {min} characters." },
  PASSWORD_TOO_LONG: { status: 422, sentence: "The password may have at most {max} bytes." },
  PASSWORD_TOO_COMMON: {
    status: 422,
    sentence: "This password is among the first that anyone would guess: please choose another.",
  },
  WRONG_PASSWORD: { status: 403, sentence: "That is not the password of this file." },
  CHUNK_SIZE_OUT_OF_RANGE: {
    status: 400,
    sentence: "The chunk size must be a whole number of bytes from {min} to {max}.",
  },
  EXPIRY_OUT_OF_RANGE: {
    status: 400,
    sentence: "The time must lie from {min} to {max} whole seconds ahead.",
  },
  MAX_DOWNLOADS_OUT_OF_RANGE: {
    status: 400,
    sentence: "The number of downloads must be a whole number from {min} to {max}.",
  },
  INVALID_HASH: { status: 400, sentence: "A hash has 64 lower-case hexadecimal digits." },
  UNAUTHENTICATED: { status: 401, sentence: "This needs a valid bearer token." },
  FORBIDDEN: { status: 403, sentence: "This bearer token does not have the role that this needs." },
  IDENTITY_UNAVAILABLE: {
    status: 503,
    sentence: "Bearer tokens cannot be checked at the moment. Please try again in a moment.",
  },
  NOT_FOUND: { status: 404, sentence: "There is no such thing here." },
  METHOD_NOT_ALLOWED: { status: 405, sentence: "This address does not know that method." },
  SLOW_CLIENT: { status: 408, sentence: "The bytes came or were taken too slowly. Please try again." },
  OFFSET_MISMATCH: {
    status: 409,
    sentence: "The upload stands at another offset: ask for it and go on there.",
  },
  UPLOAD_TAKEN_OVER: { status: 409, sentence: "Another request has taken this upload over." },
  UPLOAD_ALREADY_FINISHED: { status: 409, sentence: "This upload has already ended." },
  UPLOAD_INCOMPLETE: { status: 409, sentence: "Bytes of this upload are still missing." },
  UPLOAD_EXPIRED: { status: 410, sentence: "This upload got no bytes for too long and was dropped." },
  FINAL_UPLOAD: {
    status: 403,
    sentence: "A final upload is made of its parts and takes no bytes of its own.",
  },
  UNSUPPORTED_TUS_VERSION: {
    status: 412,
    sentence: "This server speaks tus 1.0.0: send Tus-Resumable: 1.0.0.",
  },
  FILE_GONE: { status: 410, sentence: "This file has expired, was deleted or has no download left." },
  FILE_RETAINED: {
    status: 409,
    sentence: "This file is retained: it cannot be deleted yet, nor retained for a shorter time.",
  },
  LINK_EXPIRED: {
    status: 410,
    sentence: "This link is over: make a new one with the hash and the password.",
  },
  LINK_ALREADY_REVOKED: { status: 409, sentence: "This link has been revoked already." },
  FILE_TOO_LARGE: { status: 413, sentence: "The file may have at most {max} bytes." },
  LENGTH_EXCEEDED: { status: 413, sentence: "More bytes came than the {max} that were declared." },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    sentence: "The body has a content type that is not read here. {reason}",
  },
  RANGE_NOT_SATISFIABLE: { status: 416, sentence: "The file has {size} bytes; the range lies outside." },
  BUCKET_IN_USE: { status: 409, sentence: "The bucket is in use. {reason}" },
  CHECKSUM_MISMATCH: {
    status: CHECKSUM_MISMATCH_STATUS,
    sentence: "The bytes do not have the declared checksum.",
  },
  CHECKSUM_TOO_LARGE: {
    status: 413,
    sentence: "A request with a checksum is kept whole or not at all: send at most {max} bytes in each.",
  },
  TOO_MANY_ATTEMPTS: { status: 429, sentence: "Too many attempts. Please wait before you try again." },
  RATE_LIMITED: { status: 429, sentence: "Too many requests. Please wait before you try again." },
  BUSY: { status: 503, sentence: "The server is busy. Please try again in a moment." },
  FILE_UNAVAILABLE: { status: 503, sentence: "Parts of this file cannot be read at the moment." },
  STORAGE_UNAVAILABLE: {
    status: 503,
    sentence: "The storage cannot be reached. Please try again in a moment.",
  },
  STORAGE_FULL: { status: 507, sentence: "There is no room left to store this." },
  INTERNAL: { status: 500, sentence: "Something went wrong here; it has been logged with the request id." },
} satisfies Record<Code, Entry>;

/** When to come back where the error itself does not say, in seconds. */
export const RETRY_AFTER_SECONDS: Partial<Record<Code, number>> = {
  BUSY: 5,
  IDENTITY_UNAVAILABLE: 10,
  STORAGE_UNAVAILABLE: 10,
  FILE_UNAVAILABLE: 30,
  STORAGE_FULL: 300,
};

/** What a caller is told. */
export interface Answer {
  readonly code: Code;
  readonly status: number;
  readonly message: string;
  /** The input that was wrong, by its REST name. */
  readonly field: string | undefined;
  readonly retryAfterSeconds: number | undefined;
}

/** Tells a database that is away from a bug. */
export type IsDatabaseAway = (error: unknown) => boolean;

/** The answer to any error. What is not ours is INTERNAL, without detail. */
export function answerOf(error: unknown, isDatabaseAway: IsDatabaseAway): Answer {
  const known = vaultErrorOf(error, isDatabaseAway);
  const { status, sentence } = ANSWERS[known.code];
  return {
    code: known.code,
    status,
    message: fill(sentence, known.facts),
    field: known.field,
    retryAfterSeconds: known.retryAfterSeconds ?? RETRY_AFTER_SECONDS[known.code],
  };
}

/** A request that cannot be understood; `reason` is a sentence for the caller and never quotes what was sent. */
export function badRequest(reason: string, field?: string): VaultError {
  return new VaultError("BAD_REQUEST", reason, { facts: { reason }, ...(field !== undefined && { field }) });
}

function vaultErrorOf(error: unknown, isDatabaseAway: IsDatabaseAway): VaultError {
  if (error instanceof VaultError) return error;
  if (error instanceof BucketError) {
    return new VaultError(error.failure === "full" ? "STORAGE_FULL" : "STORAGE_UNAVAILABLE", error.message);
  }
  if (isDatabaseAway(error)) return new VaultError("STORAGE_UNAVAILABLE", "the database is away");
  return ofClientError(statusOf(error)) ?? new VaultError("INTERNAL", "unexpected error");
}

/** What Express, its body parsers and the multipart parser throw when the request is at fault carries a 4xx status. */
function ofClientError(status: number | null): VaultError | null {
  if (status === null || status < 400 || status > 499) return null;
  if (status === 413) return badRequest("The body is too long.");
  if (status === 415) return new VaultError("UNSUPPORTED_MEDIA_TYPE", "unsupported charset or encoding");
  return badRequest("The address or the body is malformed.");
}

function statusOf(error: unknown): number | null {
  if (typeof error !== "object" || error === null || !("status" in error)) return null;
  return typeof error.status === "number" ? error.status : null;
}

function fill(sentence: string, facts: Facts): string {
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(facts[name] ?? "")).trim();
}
