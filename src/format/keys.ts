/**
 * Everything that follows from a file's DEK. One purpose, one label, one key: HKDF-Expand-SHA-256(DEK,
 * label, 32). The labels do not name the file, because a DEK never serves two; what is sealed under these
 * keys is bound to its file by the AAD.
 */

import { randomBytes } from "node:crypto";
import { concat, u64 } from "./bytes.js";
import { assert } from "./errors.js";
import { hkdfExpand } from "./hkdf.js";
import type { FileId } from "./id.js";
import { idBytes } from "./id.js";

export const DEK_BYTES = 32;

/** A file's data encryption key. Lives in memory, and outside of it only in wraps. */
export function newDek(): Uint8Array {
  return new Uint8Array(randomBytes(DEK_BYTES));
}

/** The FLOE key of the data chunks. */
export const bodyKey = keyFor("sv/1/body");
/** The FLOE key of tails, each a message of its own under a fresh header. */
export const tailKey = keyFor("sv/1/tail");
/** The AES-256-GCM key of the sealed metadata. */
export const metaKey = keyFor("sv/1/meta");
/** The key of the recovery manifest. */
export const mapKey = keyFor("sv/1/map");
/** The HMAC key that seals the core. */
export const sealKey = keyFor("sv/1/seal");
/**
 * Public: commits to the DEK without saying anything of it. It stands in the core, so the hash commits to
 * one key.
 */
export const commitment = keyFor("sv/1/commit");

/** FLOE's AAD of a body: a chunk of another file does not open in this one. */
export function bodyAad(fileId: FileId): Uint8Array {
  return concat("sv/1", idBytes(fileId));
}

/**
 * FLOE's AAD of a tail, bound to the plain offset where it starts: an older tail does not open at a newer
 * place.
 */
export function tailAad(fileId: FileId, tailStart: number): Uint8Array {
  return concat("sv/1/tail", idBytes(fileId), u64(tailStart));
}

function keyFor(label: string): (dek: Uint8Array) => Uint8Array {
  return dek => {
    assert(dek.length === DEK_BYTES, "a DEK has 32 bytes");
    return hkdfExpand("sha256", dek, concat(label), 32);
  };
}
