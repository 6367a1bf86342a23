/**
 * Deciding which buckets get the chunks of a stripe: at random, by weight, all different. Pure but for the random
 * numbers it is given, so that a test can replay any decision.
 */
import { VaultError } from "./errors.js";
import type { BucketId, BucketRecord, ParityProfile } from "./model.js";

/** A number in [0, 1). */
export type Random = () => number;

/** By the number of buckets, from 1 (design §3, Parity); more buckets than listed use the last. */
const DEFAULT_PROFILES: readonly ParityProfile[] = [
  { dataChunks: 1, parityChunks: 0 },
  { dataChunks: 1, parityChunks: 1 },
  { dataChunks: 1, parityChunks: 2 },
  { dataChunks: 2, parityChunks: 2 },
  { dataChunks: 3, parityChunks: 2 },
  { dataChunks: 4, parityChunks: 2 },
];

/** The profile that files get by default where there are this many buckets to write to. Throws STORAGE_UNAVAILABLE for none. */
export function profileFor(bucketCount: number): ParityProfile {
  const profile = DEFAULT_PROFILES[Math.min(bucketCount, DEFAULT_PROFILES.length) - 1];
  if (!profile) throw new VaultError("STORAGE_UNAVAILABLE", "no bucket takes new chunks");
  return profile;
}

/** The profile by the setting PARITY, where there is one. `none` keeps the stripes that parity would have. */
export function profileOf(setting: ParityProfile | "none" | undefined, bucketCount: number): ParityProfile {
  if (setting === "none") return { ...profileFor(bucketCount), parityChunks: 0 };
  return setting ?? profileFor(bucketCount);
}

/** Chunks of one stripe that one bucket may hold when there are too few buckets: what its loss may cost. */
export function mostPerBucket({ parityChunks }: ParityProfile): number {
  return Math.max(1, parityChunks);
}

/** Whether so many buckets can hold a stripe at all. */
export function canHold(profile: ParityProfile, bucketCount: number): boolean {
  if (profile.parityChunks === 0) return bucketCount > 0;
  return bucketCount * mostPerBucket(profile) >= profile.dataChunks + profile.parityChunks;
}

/** Where the chunks of one stripe lie, or are about to. */
export interface StripePlaces {
  readonly profile: ParityProfile;
  /** One entry for each chunk. */
  readonly bucketIds: readonly BucketId[];
}

/**
 * Draws the bucket of one more chunk of a stripe, by weight; undefined where there is none. In this order:
 *
 * 1. one that holds no chunk of the stripe, in a failure domain that holds fewer than m of them: any m buckets, and any
 *    one domain, may vanish
 * 2. one that holds no chunk of the stripe, in any domain
 * 3. one that holds the fewest, and fewer than m (any number, where there is no parity to lose): any one bucket may
 *    vanish still, and repair spreads the stripe out once there are buckets again
 * 4. one of `suspects`, which failed a moment ago: waiting for them chunk by chunk would stop the upload
 */
export function choose(
  candidates: readonly BucketRecord[],
  { profile, bucketIds }: StripePlaces,
  suspects: ReadonlySet<BucketId>,
  random: Random,
): BucketId | undefined {
  const most = mostPerBucket(profile);
  const holding = new Set(bucketIds);
  const held = (id: BucketId) => bucketIds.filter(one => one === id).length;
  const heldIn = (domain: string | null) =>
    candidates.filter(one => one.domain === domain).reduce((sum, { id }) => sum + held(id), 0);
  const oneOf = (some: readonly BucketRecord[]) => place(some, 1, new Set(), new Set(), random)[0];

  const trusted = candidates.filter(({ id }) => !suspects.has(id));
  const free = trusted.filter(({ id }) => !holding.has(id));
  const spread = free.filter(({ domain }) => domain === null || heldIn(domain) < most);
  const mayHoldMore = trusted.filter(
    ({ id }) => holding.has(id) && (profile.parityChunks === 0 || held(id) < most),
  );
  const fewest = Math.min(...mayHoldMore.map(({ id }) => held(id)));
  return (
    oneOf(spread) ??
    oneOf(free) ??
    oneOf(mayHoldMore.filter(({ id }) => held(id) === fewest)) ??
    oneOf(candidates.filter(({ id }) => suspects.has(id) && !holding.has(id)))
  );
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
  return [...shuffled(trusted, random), ...shuffled(rest, random)].slice(0, count).map(bucket => bucket.id);
}

/**
 * Draws another bucket for a chunk that leaves its own, by weight: none of those `holding` a chunk of the stripe, and
 * none that `failed` to take this one. Where there is a choice, it lies in a failure domain that holds the fewest chunks
 * of the stripe; suspects come last. Undefined where there is none: unlike a new chunk, this one has a place already.
 */
export function placeElsewhere(
  candidates: readonly BucketRecord[],
  { holding, failed }: { holding: ReadonlySet<BucketId>; failed: ReadonlySet<BucketId> },
  suspects: ReadonlySet<BucketId>,
  random: Random,
): BucketId | undefined {
  const free = candidates.filter(({ id, weight }) => weight > 0 && !holding.has(id) && !failed.has(id));
  const trusted = free.filter(({ id }) => !suspects.has(id));
  const open = trusted.length > 0 ? trusted : free;
  const heldIn = ({ domain }: BucketRecord) =>
    domain === null ? 0 : candidates.filter(one => one.domain === domain && holding.has(one.id)).length;
  const fewest = Math.min(...open.map(heldIn));
  const spread = open.filter(bucket => heldIn(bucket) === fewest);
  return place(spread, 1, new Set(), new Set(), random)[0];
}

/**
 * A weighted random order: each bucket draws u^(1/weight) and the largest comes first, which is the same as drawing
 * without replacement by weight (Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006).
 */
export function shuffled(buckets: readonly BucketRecord[], random: Random): BucketRecord[] {
  return buckets
    .map(bucket => ({ bucket, rank: random() ** (1 / bucket.weight) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ bucket }) => bucket);
}
