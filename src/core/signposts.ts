/**
 * Putting up a file's signposts (format/signpost.ts), in as many buckets as its manifest lies in. They are put up once it
 * *is* a file and before anybody is told so: what has one is a file for certain, and what anybody was told of has one.
 */
import { newSignpostKey, sealSignpost, signpostPrefix } from "../format/signpost.js";
import type { CopiesDeps } from "./copies.js";
import { copyCount, slotOrder, storeCopies } from "./copies.js";
import type { ManifestObject } from "./manifest-ports.js";
import { REWRITE_LEASE } from "./manifest-ports.js";
import type { StoredFile } from "./model.js";

export interface SignpostDeps extends CopiesDeps {
  /** `MAP_KEY`; null: manifests can be read with hash and password alone, and signposts by their database alone. */
  readonly operatorKey: Uint8Array | null;
}

/** Puts them up in slots of which no signpost remains. Throws STORAGE_UNAVAILABLE, STORAGE_FULL. */
export function putUpSignposts(
  deps: SignpostDeps,
  { id: fileId, hash, parity }: Pick<StoredFile, "id" | "hash" | "parity">,
  before: readonly ManifestObject[],
): Promise<readonly ManifestObject[]> {
  const used = before.map(({ objectKey }) => objectKey);
  const nextSlot = slotOrder(deps.random, used, slot => signpostPrefix(fileId, slot));
  const owner = { id: fileId, lease: REWRITE_LEASE };
  return storeCopies(deps, owner, copyCount(parity), "signpost", () => {
    const objectKey = newSignpostKey(fileId, nextSlot());
    return { objectKey, bytes: sealSignpost({ objectKey, fileId, hash, operatorKey: deps.operatorKey }) };
  });
}
