/** Storing the same thing several times, each copy in another bucket: what must outlive any m of them. */
import { digestOf } from "../format/core.js";
import { MANIFEST_SLOTS } from "../format/manifest-key.js";
import type { BucketSet } from "./bucket-set.js";
import type { ManifestObject } from "./manifest-ports.js";
import type { BucketId, ObjectKey, ObjectRef, ParityProfile, Upload } from "./model.js";
import type { Random } from "./placement.js";
import { place } from "./placement.js";
import type { ChunkMap } from "./ports.js";
import { MAX_DETOURS, noBucketLeft } from "./scatter.js";

/** With parity m a file survives the loss of m buckets, and so must its manifest; and any one where there are two. */
const MIN_COPIES = 2;

export interface CopiesDeps {
  readonly buckets: BucketSet;
  readonly chunkMap: Pick<ChunkMap, "reserve">;
  readonly random: Random;
}

/** An object to be: its bytes may depend on its key, so each try has its own. */
export interface Draft {
  readonly objectKey: ObjectKey;
  readonly bytes: Uint8Array;
}

interface Copy extends ObjectRef {
  readonly bytes: Uint8Array;
}

/** How many copies a file with this parity has of what must outlive as many buckets as its chunks do. */
export function copyCount({ parityChunks }: ParityProfile): { wanted: number; required: number } {
  const required = parityChunks + 1;
  return { wanted: Math.max(MIN_COPIES, required), required };
}

/** How many of them there can be now. */
export async function possibleCopies(buckets: BucketSet, parity: ParityProfile): Promise<number> {
  return Math.min(copyCount(parity).wanted, (await buckets.candidates()).length);
}

/** The slots in the order in which copies take them: at random, and last those that keys in `used` begin with. */
export function slotOrder(
  random: Random,
  used: readonly ObjectKey[],
  prefixOf: (slot: number) => string,
): () => number {
  const isUsed = (slot: number) => used.some(key => key.startsWith(prefixOf(slot)));
  const all = Array.from({ length: MANIFEST_SLOTS }, (_, slot) => ({
    slot,
    rank: random(),
    isUsed: isUsed(slot),
  }));
  const order = all.sort((a, b) => Number(a.isUsed) - Number(b.isUsed) || a.rank - b.rank);
  let next = 0;
  return () => order[next++ % MANIFEST_SLOTS]?.slot ?? 0;
}

/**
 * Stores up to `wanted` copies, pending under `owner`, and returns those that are durable, as `part`. Throws STORAGE_UNAVAILABLE or
 * STORAGE_FULL where they are fewer than `required`; the rest is then left to the sweep.
 */
export async function storeCopies(
  deps: CopiesDeps,
  owner: Pick<Upload, "id" | "lease">,
  { wanted, required }: { wanted: number; required: number },
  part: ManifestObject["part"],
  make: () => Draft,
): Promise<readonly ManifestObject[]> {
  const { buckets, chunkMap, random } = deps;
  const chosen = place(await buckets.candidates(), wanted, new Set(), buckets.suspects, random);
  const copies = chosen.map(bucketId => ({ bucketId, ...make() }));
  if (copies.length > 0) await chunkMap.reserve(owner.id, owner.lease, copies);
  const taken = new Set(chosen);
  const stored = await Promise.allSettled(copies.map(copy => put(deps, owner, copy, taken, make)));
  const durable = stored.flatMap(result => (result.status === "fulfilled" ? [result.value] : []));
  const failure = stored.find(result => result.status === "rejected");
  if (durable.length < required) throw failure ? failure.reason : noBucketLeft(undefined);
  return durable.map(({ bucketId, objectKey, bytes }) => {
    return { bucketId, objectKey, part, storedBytes: bytes.length, digest: digestOf(bytes) };
  });
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
