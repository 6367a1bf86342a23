/**
 * File ids: 16 random bytes, written as lowercase UUID text because PostgreSQL's `uuid` stores that in 16
 * bytes.
 */

import { randomBytes } from "node:crypto";
import { assert, FormatError } from "./errors.js";

/**
 * `8-4-4-4-12` lowercase hex digits. All 128 bits are random: no version or variant bits (RFC 9562 §4.1,
 * §4.2).
 */
export type FileId = string;

export const FILE_ID_BYTES = 16;

const TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function newFileId(): FileId {
  return idFromBytes(randomBytes(FILE_ID_BYTES));
}

/** The 16 bytes of `id`; throws `FormatError` unless it is the one canonical text. */
export function idBytes(id: FileId): Uint8Array {
  if (!TEXT.test(id)) throw new FormatError("a file id is not lowercase UUID text");
  return new Uint8Array(Buffer.from(id.replaceAll("-", ""), "hex"));
}

export function idFromBytes(bytes: Uint8Array): FileId {
  assert(bytes.length === FILE_ID_BYTES, "a file id has 16 bytes");
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
