/** Finding a file's manifests in a bucket by nothing but its hash (docs/format.md §14). */
import { FormatError } from "../format/errors.js";
import { MANIFEST_SLOTS, manifestPrefix } from "../format/manifest-key.js";
import type { ManifestHead } from "../format/manifest.js";
import { MAX_MANIFEST_BYTES, openHead } from "../format/manifest.js";
import type { ObjectKey } from "./model.js";
import type { Bucket, Log } from "./ports.js";

/** Manifests of one file that are looked at in one slot of a bucket: there are hardly ever more than two. */
const MAX_FOUND = 100;

export interface FoundManifest {
  readonly objectKey: ObjectKey;
  readonly head: ManifestHead;
  readonly object: Uint8Array;
}

/** Those whose head opens. Throws `BucketError`. */
export async function* manifestsIn(
  bucket: Bucket,
  hash: string,
  log: Log,
  signal?: AbortSignal,
): AsyncGenerator<FoundManifest> {
  for (let slot = 0; slot < MANIFEST_SLOTS; slot++) {
    const keys = await bucket.list({ prefix: manifestPrefix(hash, slot) }, signal);
    for (const objectKey of keys.slice(0, MAX_FOUND)) {
      const object = await readManifest(bucket, objectKey, signal);
      if (!object) continue; // deleted since it was listed
      try {
        yield { objectKey, head: openHead(hash, objectKey, object), object };
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        log.warn("a manifest is damaged", { bucket: bucket.name, objectKey, reason: error.message });
      }
    }
  }
}

/** Never more than a manifest can have. */
export function readManifest(
  bucket: Bucket,
  objectKey: ObjectKey,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  return bucket.get(objectKey, { first: 0, last: MAX_MANIFEST_BYTES - 1 }, signal);
}
