/**
 * Deciding which buckets get the chunks of a stripe: at random, by weight, all different. Pure but for the random
 * numbers it is given, so that a test can replay any decision.
 */
import type { BucketId, BucketRecord, ParityProfile } from "./model.js";

/** A number in [0, 1). */
export type Random = () => number;

/** Default data chunks of a stripe by the number of buckets (design §3, Parity); more buckets than listed use the last. */
const DATA_CHUNKS_BY_BUCKETS = [1, 1, 1, 2, 3, 4];

/**
 * The profile new files get. Parity itself is not built yet, so stripes are k + 0 with the k that the default profile
 * for this many buckets will have: the chunk map of today's files keeps its shape when parity arrives.
 */
export function profileFor(bucketCount: number): ParityProfile {
  const index = Math.min(bucketCount, DATA_CHUNKS_BY_BUCKETS.length) - 1;
  const dataChunks = DATA_CHUNKS_BY_BUCKETS[index];
  if (dataChunks === undefined) throw new RangeError(`no profile for ${bucketCount} buckets`);
  return { dataChunks, parityChunks: 0 };
}

/**
 * Draws up to `count` different buckets for one stripe, by weight, none of `taken` (those that hold a chunk of the
 * stripe already). Buckets of `suspects` come last: they failed a moment ago, but a suspect is better than none.
 * Fewer than `count` when there are not enough.
 */
export function place(
  candidates: readonly BucketRecord[],
  count: number,
  taken: ReadonlySet<BucketId>,
  suspects: ReadonlySet<BucketId>,
  random: Random,
): BucketId[] {
  const open = candidates.filter(
    bucket => bucket.state === "active" && bucket.weight > 0 && !taken.has(bucket.id),
  );
  const trusted = open.filter(bucket => !suspects.has(bucket.id));
  const rest = open.filter(bucket => suspects.has(bucket.id));
  return [...shuffle(trusted, random), ...shuffle(rest, random)].slice(0, count).map(bucket => bucket.id);
}

/**
 * A weighted random order: each bucket draws u^(1/weight) and the largest comes first, which is the same as drawing
 * without replacement by weight (Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006).
 */
function shuffle(buckets: readonly BucketRecord[], random: Random): BucketRecord[] {
  return buckets
    .map(bucket => ({ bucket, rank: random() ** (1 / bucket.weight) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ bucket }) => bucket);
}
