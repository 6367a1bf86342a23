/** Global ids: opaque to clients, unique over all types, stable. The type's name is part of it. */
import type { BucketId } from "../../core/model.js";
import { badRequest } from "../errors.js";

/** Longer than any of ours. */
const MAX_ID_LENGTH = 200;
/** They are smallints. */
const MAX_BUCKET_ID = 2 ** 15 - 1;
const ID = /^([A-Za-z]+):(.+)$/;

export function globalId(type: string, ...parts: readonly (string | number)[]): string {
  return Buffer.from([type, ...parts].join(":")).toString("base64url");
}

/** The inverse of {@link globalId}; null for what it never made. `key` are the parts, joined with colons. */
export function parseGlobalId(id: string): { readonly type: string; readonly key: string } | null {
  if (id.length > MAX_ID_LENGTH) return null;
  const text = Buffer.from(id, "base64url").toString();
  if (Buffer.from(text).toString("base64url") !== id) return null; // one thing has one id, in one spelling
  const [, type, key] = ID.exec(text) ?? [];
  return type === undefined || key === undefined ? null : { type, key };
}

/** The bucket's number in its global id. Throws BAD_REQUEST for what is no id of a bucket. */
export function requireBucketId(id: string): BucketId {
  const parsed = parseGlobalId(id);
  const isBucket = parsed?.type === "Bucket" && /^[1-9]\d{0,4}$/.test(parsed.key);
  const number = isBucket ? Number(parsed.key) : Number.POSITIVE_INFINITY;
  if (number > MAX_BUCKET_ID) throw badRequest("That is not the id of a bucket.", "bucket_id");
  return number;
}
