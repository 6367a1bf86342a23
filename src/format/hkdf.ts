/**
 * HKDF-Expand (RFC 5869 §2.3) alone. `crypto.hkdf` always extracts first; the keys expanded here (a DEK,
 * a token, an Argon2id output, a FLOE key) are already uniform, and FLOE is defined over Expand.
 */

import { createHmac, createSecretKey } from "node:crypto";
import { assert } from "./errors.js";

const HASH_BYTES = { sha256: 32, sha384: 48 };

/** `length` bytes of key material for the purpose `info`, out of the uniform key `prk`. */
export function hkdfExpand(
  hash: "sha256" | "sha384",
  prk: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const rounds = Math.ceil(length / HASH_BYTES[hash]);
  assert(rounds >= 1 && rounds <= 255, "HKDF-Expand gives 1 to 255 hash lengths");
  const output = new Uint8Array(rounds * HASH_BYTES[hash]);
  const key = createSecretKey(prk); // Node takes three times as long to see that bytes are no key object
  let previous = new Uint8Array(0); // T(0) is empty
  for (let round = 1; round <= rounds; round++) {
    // T(i) = HMAC(PRK, T(i-1) ‖ info ‖ i)
    const hmac = createHmac(hash, key).update(previous).update(info).update(Uint8Array.of(round));
    previous = new Uint8Array(hmac.digest());
    output.set(previous, (round - 1) * HASH_BYTES[hash]);
  }
  return output.slice(0, length);
}
