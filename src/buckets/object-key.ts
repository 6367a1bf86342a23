/**
 * What every adapter checks before it does anything: nothing but a key of ours ever becomes a path or a URL, so a
 * traversal (`../`, `%2e`, NUL) is impossible by construction. A violation is a bug of the caller, so it asserts.
 */
import assert from "node:assert/strict";
import type { ObjectKey } from "../core/model.js";
import type { ByteRange, KeyRange } from "../core/ports.js";

const OBJECT_KEY = /^[0-9a-f]{32}$/;
const KEY_PREFIX = /^[0-9a-f]{0,32}$/;

/** How many keys a page of {@link Bucket.list} has at most. */
export const PAGE_KEYS = 1000;

export function isObjectKey(text: string): text is ObjectKey {
  return OBJECT_KEY.test(text);
}

export function assertObjectKey(key: ObjectKey): void {
  assert(isObjectKey(key), `not an object key: ${JSON.stringify(key).slice(0, 80)}`);
}

export function assertKeyRange({ after, prefix = "" }: KeyRange): void {
  if (after !== undefined && after !== null) assertObjectKey(after);
  assert(KEY_PREFIX.test(prefix), `no object key begins with ${JSON.stringify(prefix).slice(0, 80)}`);
}

export function isInRange(key: ObjectKey, { after, prefix = "" }: KeyRange): boolean {
  return key > (after ?? "") && key.startsWith(prefix);
}

export function assertRange(range: ByteRange | undefined): void {
  if (!range) return;
  const { first, last } = range;
  const isRange = Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && last >= first;
  assert(isRange, `not a byte range: ${first}-${last}`);
}
