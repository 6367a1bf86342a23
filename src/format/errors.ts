/**
 * The two ways this room says no. Bytes that are wrong are a `FormatError`; a caller that is wrong is a
 * bug. A wrong key is neither: where a wrong key can be told from broken bytes (`unwrapDek`), it is `null`.
 */

/**
 * Bytes that are not valid `sv/1`: malformed, out of bounds, or not authentic. The message names no secret.
 */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

/**
 * Stops a mistake of the calling code. Ours and not `node:assert`'s, so that this room imports
 * `node:crypto` alone.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new TypeError(message);
}
