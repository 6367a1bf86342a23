/**
 * AES-256-GCM (NIST SP 800-38D) in the one shape that segments, wraps and metadata share, a *box*:
 *
 *     IV 12 ‖ ciphertext ‖ tag 16
 */

import type { KeyObject } from "node:crypto";
import { createCipheriv, createDecipheriv } from "node:crypto";
import { release } from "./bytes.js";
import { assert } from "./errors.js";

export const IV_BYTES = 12;
export const TAG_BYTES = 16;
export const BOX_OVERHEAD_BYTES = IV_BYTES + TAG_BYTES;

export interface BoxKey {
  /** 32 bytes. As a KeyObject where many boxes share it: node:crypto makes one of bytes each time. */
  readonly key: Uint8Array | KeyObject;
  readonly aad: Uint8Array;
}

/**
 * Seals `plain` into `box`, which is exactly 28 bytes longer and is filled entirely. `iv` must be fresh
 * random bytes.
 */
export function sealBox({ key, aad }: BoxKey, iv: Uint8Array, plain: Uint8Array, box: Uint8Array): void {
  assertKey(key);
  assert(iv.length === IV_BYTES, "AES-256-GCM takes an IV of 12 bytes");
  assert(box.length === plain.length + BOX_OVERHEAD_BYTES, "a box is 28 bytes longer than its plaintext");
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  box.set(iv);
  const sealed = cipher.update(plain);
  box.set(sealed, IV_BYTES);
  release(sealed);
  cipher.final(); // GCM is a stream mode: nothing is left to write
  box.set(cipher.getAuthTag(), box.length - TAG_BYTES);
}

/**
 * The plaintext of `box`, or null when it is not authentic. Nothing is handed out before the tag has been
 * checked.
 */
export function openBox({ key, aad }: BoxKey, box: Uint8Array): Uint8Array | null {
  assertKey(key);
  if (box.length < BOX_OVERHEAD_BYTES) return null;
  const tagAt = box.length - TAG_BYTES;
  // authTagLength: else Node would accept a tag cut to 4 bytes (DEP0182).
  const decipher = createDecipheriv("aes-256-gcm", key, box.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(box.subarray(tagAt));
  const plain = decipher.update(box.subarray(IV_BYTES, tagAt));
  try {
    decipher.final();
  } catch {
    return null; // final() fails for one reason only: the tag
  }
  return plain;
}

function assertKey(key: BoxKey["key"]): void {
  const bytes = key instanceof Uint8Array ? key.length : key.symmetricKeySize;
  assert(bytes === 32, "AES-256-GCM takes a key of 32 bytes");
}
