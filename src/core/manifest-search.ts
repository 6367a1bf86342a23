/** Finding in a bucket what has its name from a slot: a file's manifests, by its hash, and its signposts (docs/format.md §14, §15). */
import { MANIFEST_SLOTS, manifestPrefix } from "../format/manifest-key.js";
import { MAX_MANIFEST_BYTES } from "../format/manifest.js";
import type { ObjectKey } from "./model.js";
import type { Bucket } from "./ports.js";

/** Objects that are looked at in one slot of a bucket: there are hardly ever more than two. */
const MAX_FOUND = 100;

/** The keys of objects that are named as the file's manifests are. */
export function manifestKeysIn(bucket: Bucket, hash: string, signal?: AbortSignal): Promise<ObjectKey[]> {
  return keysInSlots(bucket, slot => manifestPrefix(hash, slot), signal);
}

/** The keys that begin with the prefix of any slot. */
export async function keysInSlots(
  bucket: Bucket,
  prefixOf: (slot: number) => string,
  signal?: AbortSignal,
): Promise<ObjectKey[]> {
  const found: ObjectKey[] = [];
  for (let slot = 0; slot < MANIFEST_SLOTS; slot++) {
    const keys = await bucket.list({ prefix: prefixOf(slot) }, signal);
    found.push(...keys.slice(0, MAX_FOUND));
  }
  return found;
}

/** A manifest, or a part of one: never more than it can have. Null: there is none any more. */
export function readManifest(
  bucket: Pick<Bucket, "get">,
  objectKey: ObjectKey,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  return bucket.get(objectKey, { first: 0, last: MAX_MANIFEST_BYTES - 1 }, signal);
}
