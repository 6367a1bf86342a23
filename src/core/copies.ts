/** Storing the same thing several times, each copy in another bucket: what must outlive any one of them. */
import type { BucketSet } from "./bucket-set.js";
import type { BucketId, ObjectKey, ObjectRef, Upload } from "./model.js";
import type { Random } from "./placement.js";
import { place } from "./placement.js";
import type { ChunkMap } from "./ports.js";
import { MAX_DETOURS, noBucketLeft } from "./scatter.js";

export interface CopiesDeps {
  readonly buckets: BucketSet;
  readonly chunkMap: Pick<ChunkMap, "reserve">;
  readonly random: Random;
}

/** An object to be: its bytes may depend on its key, so each try has its own. */
interface Draft {
  readonly objectKey: ObjectKey;
  readonly bytes: Uint8Array;
}

export interface Copy extends ObjectRef {
  readonly bytes: Uint8Array;
}

/**
 * Stores up to `wanted` copies, pending under `owner`, and returns those that are durable. Throws STORAGE_UNAVAILABLE or
 * STORAGE_FULL where they are fewer than `required`; the rest is then left to the sweep.
 */
export async function storeCopies(
  deps: CopiesDeps,
  owner: Pick<Upload, "id" | "lease">,
  { wanted, required }: { wanted: number; required: number },
  make: () => Draft,
): Promise<readonly Copy[]> {
  const { buckets, chunkMap, random } = deps;
  const chosen = place(await buckets.candidates(), wanted, new Set(), buckets.suspects, random);
  const copies = chosen.map(bucketId => ({ bucketId, ...make() }));
  if (copies.length > 0) await chunkMap.reserve(owner.id, owner.lease, copies);
  const taken = new Set(chosen);
  const stored = await Promise.allSettled(copies.map(copy => put(deps, owner, copy, taken, make)));
  const durable = stored.flatMap(result => (result.status === "fulfilled" ? [result.value] : []));
  const failure = stored.find(result => result.status === "rejected");
  if (durable.length < required) throw failure ? failure.reason : noBucketLeft(undefined);
  return durable;
}

/** A bucket that fails is gone around, to one that no copy has tried. */
async function put(
  deps: CopiesDeps,
  owner: Pick<Upload, "id" | "lease">,
  first: Copy,
  taken: Set<BucketId>,
  make: () => Draft,
): Promise<Copy> {
  const { buckets, chunkMap, random } = deps;
  let copy = first;
  for (let detours = 0; ; detours++) {
    try {
      await buckets.port(copy.bucketId).put(copy.objectKey, copy.bytes);
      return copy;
    } catch (error) {
      buckets.suspect(copy.bucketId, error);
      const candidates = await buckets.candidates();
      const [bucketId] = place(candidates, 1, taken, buckets.suspects, random);
      if (bucketId === undefined || detours >= MAX_DETOURS) throw noBucketLeft(error);
      taken.add(bucketId); // before anything is awaited: another copy may be looking too
      copy = { bucketId, ...make() };
      await chunkMap.reserve(owner.id, owner.lease, [copy]);
    }
  }
}
