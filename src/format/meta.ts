/**
 * A file's name, media type and plaintext SHA-256, sealed beside the file.
 *
 *     version 01 ‖ IV 12 ‖ AES-256-GCM(metaKey, JSON and spaces up to a multiple of 64 bytes) ‖ tag 16
 *
 * The spaces keep the exact length of the name from showing; JSON ignores them.
 */

import { randomBytes } from "node:crypto";
import { concat, u8 } from "./bytes.js";
import { FormatError } from "./errors.js";
import type { BoxKey } from "./gcm.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import type { FileId } from "./id.js";
import { idBytes } from "./id.js";
import { metaKey } from "./keys.js";

export interface FileMeta {
  readonly name: string;
  readonly mediaType: string;
  /** Of the plaintext: 64 lowercase hex digits, or null where it is not known. */
  readonly sha256: string | null;
}

const VERSION = 1;
const PAD_TO_BYTES = 64;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/**
 * Of the sealed record: the bound on what is parsed. A name of 10,000 letters takes at most 60,000 (as
 * `\uXXXX`).
 */
const MAX_SEALED_BYTES = 256 * 1024;

/** Seals `meta`; lone surrogates, which no UTF-8 can carry, become U+FFFD. (`iv` is for known answers.) */
export function sealMeta(
  dek: Uint8Array,
  fileId: FileId,
  meta: FileMeta,
  iv: Uint8Array = randomBytes(IV_BYTES),
): Uint8Array {
  checkSha256(meta.sha256);
  const name = meta.name.toWellFormed();
  const mediaType = meta.mediaType.toWellFormed();
  const json = concat(JSON.stringify({ name, mediaType, sha256: meta.sha256 }));
  const plain = new Uint8Array(Math.ceil(json.length / PAD_TO_BYTES) * PAD_TO_BYTES).fill(0x20);
  plain.set(json);
  const box = new Uint8Array(plain.length + BOX_OVERHEAD_BYTES);
  sealBox(boxKey(dek, fileId), iv, plain, box);
  const sealed = concat(u8(VERSION), box);
  checkSize(sealed);
  return sealed;
}

/** Throws `FormatError` for a record that is malformed, or not sealed by this DEK for this file. */
export function openMeta(dek: Uint8Array, fileId: FileId, sealed: Uint8Array): FileMeta {
  checkSize(sealed);
  if (sealed[0] !== VERSION) throw new FormatError(`metadata of version ${sealed[0]}`);
  const plain = openBox(boxKey(dek, fileId), sealed.subarray(1));
  if (!plain) throw new FormatError("metadata is not authentic");
  return metaOf(parseJson(plain));
}

function boxKey(dek: Uint8Array, fileId: FileId): BoxKey {
  return { key: metaKey(dek), aad: concat("sv/1/meta", idBytes(fileId)) };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError("metadata is not JSON in UTF-8", { cause });
  }
}

function metaOf(value: unknown): FileMeta {
  if (typeof value !== "object" || value === null) throw new FormatError("metadata is not an object");
  const { name, mediaType, sha256 } = value as Record<string, unknown>;
  if (typeof name !== "string" || typeof mediaType !== "string") {
    throw new FormatError("metadata without a name or a media type");
  }
  if (sha256 !== null && typeof sha256 !== "string")
    throw new FormatError("metadata without a SHA-256 or null");
  checkSha256(sha256);
  return { name, mediaType, sha256 };
}

function checkSha256(sha256: string | null): void {
  if (sha256 !== null && !SHA256_HEX.test(sha256))
    throw new FormatError("a SHA-256 is 64 lowercase hex digits");
}

function checkSize(sealed: Uint8Array): void {
  if (sealed.length > MAX_SEALED_BYTES) throw new FormatError(`metadata of ${sealed.length} bytes`);
}
