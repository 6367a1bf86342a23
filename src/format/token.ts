/**
 * Link and upload tokens: the capability in a URL. 32 random bytes, and two independent values that
 * follow from them: an id for the database to find the row by, a key that opens the row's wrap. Neither
 * leads back to the token or to the other.
 */

import { randomBytes } from "node:crypto";
import { concat } from "./bytes.js";
import { assert } from "./errors.js";
import { hkdfExpand } from "./hkdf.js";

export type TokenKind = "link" | "upload";

const TOKEN_BYTES = 32;
const TOKEN_ID_BYTES = 16;
const TOKEN_KEY_BYTES = 32;
const TEXT = /^[A-Za-z0-9_-]{43}$/;

/** A new token as it stands in URLs: base64url without padding (RFC 4648 §5), 43 characters. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString("base64url");
}

/**
 * The token's 32 bytes, or null unless `text` is their one canonical form (43 characters carry two unused
 * bits).
 */
export function parseToken(text: string): Uint8Array | null {
  if (!TEXT.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? new Uint8Array(bytes) : null;
}

/** What the database knows the token by. */
export function tokenId(token: Uint8Array, kind: TokenKind): Uint8Array {
  return expand(token, `sv/1/${kind}-id`, TOKEN_ID_BYTES);
}

/** The ikm of the token's wrap. */
export function tokenKey(token: Uint8Array, kind: TokenKind): Uint8Array {
  return expand(token, `sv/1/${kind}-key`, TOKEN_KEY_BYTES);
}

/** The key of an upload's facts (facts.ts). */
export function factsKey(token: Uint8Array): Uint8Array {
  return expand(token, "sv/1/upload-facts", TOKEN_KEY_BYTES);
}

function expand(token: Uint8Array, label: string, length: number): Uint8Array {
  assert(token.length === TOKEN_BYTES, "a token has 32 bytes");
  return hkdfExpand("sha256", token, concat(label), length);
}
