/**
 * What an open upload has to remember for whoever holds its token, and for nobody else: sealed under a key of the
 * token's, so that it can be read as long as the upload's row lives, whatever has become of the file and its DEK.
 *
 *     version 01 ‖ IV 12 ‖ AES-256-GCM(HKDF-Expand-SHA-256(token, `sv/1/upload-facts`, 32), JSON) ‖ tag 16
 */
import { randomBytes } from "node:crypto";
import { concat, u8 } from "./bytes.js";
import { FormatError } from "./errors.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import type { FileId } from "./id.js";
import { idBytes } from "./id.js";
import { factsKey } from "./token.js";

export interface UploadFacts {
  /** `Upload-Metadata` as it was sent, which a tus server gives back. */
  readonly uploadMetadata: string | null;
  /** `Upload-Concat` as it was sent. */
  readonly uploadConcat: string | null;
  /** Tokens of the partial uploads that a final one is made of. */
  readonly parts: readonly string[];
  /** What the whole must hash to: 64 hex digits. */
  readonly expectedSha256: string | null;
}

const VERSION = 1;

export function sealFacts(token: Uint8Array, fileId: FileId, facts: UploadFacts): Uint8Array {
  const plain = concat(JSON.stringify(facts));
  const box = new Uint8Array(plain.length + BOX_OVERHEAD_BYTES);
  sealBox(boxKey(token, fileId), randomBytes(IV_BYTES), plain, box);
  return concat(u8(VERSION), box);
}

/** Throws `FormatError` for a record that was not sealed for this token and upload. */
export function openFacts(token: Uint8Array, fileId: FileId, sealed: Uint8Array): UploadFacts {
  if (sealed[0] !== VERSION) throw new FormatError(`upload facts of version ${sealed[0]}`);
  const plain = openBox(boxKey(token, fileId), sealed.subarray(1));
  if (!plain) throw new FormatError("upload facts are not authentic");
  return JSON.parse(new TextDecoder().decode(plain)) as UploadFacts; // authentic, so it is what sealFacts wrote
}

function boxKey(token: Uint8Array, fileId: FileId) {
  return { key: factsKey(token), aad: concat("sv/1/upload-facts", idBytes(fileId)) };
}
