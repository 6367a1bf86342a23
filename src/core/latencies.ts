/** How long a bucket usually takes to answer a read: what "late" is measured by. */
import type { BucketId } from "./model.js";

/** The last answers that count, for each bucket. */
const SAMPLES = 128;
/** Until so many have come, nothing is usual yet; what is, is found out anew after as many more. */
const FEW = 16;
const UNKNOWN_MS = 250;
/** A read is never late before this, nor punctual after that, in milliseconds. */
const LEAST_MS = 50;
const MOST_MS = 2_000;
const PERCENTILE = 0.99;
/** After this many late answers in a row a bucket is not waited for, until it answers in time or a while has passed. */
const LATE_IN_ROW = 2;
const NOT_WAITED_FOR_MS = 30_000;

export class Latencies {
  readonly #rings = new Map<BucketId, { ms: Float64Array; count: number; usualMs: number }>();

  /** By bucket: how many answers in a row were late, and when the last of them was. */
  readonly #late = new Map<BucketId, { inRow: number; at: number }>();

  /** An answer came. */
  add(id: BucketId, ms: number): void {
    if (ms <= this.#usualMs(id)) this.#late.delete(id);
    const ring = this.#rings.get(id) ?? { ms: new Float64Array(SAMPLES), count: 0, usualMs: UNKNOWN_MS };
    this.#rings.set(id, ring);
    ring.ms[ring.count++ % SAMPLES] = ms;
    if (ring.count % FEW === 0) ring.usualMs = usualOf(ring.ms.slice(0, ring.count));
  }

  /** An answer had not come after {@link lateMs}. */
  addLate(id: BucketId): void {
    this.#late.set(id, { inRow: (this.#late.get(id)?.inRow ?? 0) + 1, at: performance.now() });
  }

  /** How long to wait for an answer: what 99 of 100 took at most, within bounds; 0 for a bucket that keeps being late. */
  lateMs(id: BucketId): number {
    const late = this.#late.get(id);
    const isLate = late && late.inRow >= LATE_IN_ROW && performance.now() - late.at < NOT_WAITED_FOR_MS;
    return isLate ? 0 : this.#usualMs(id);
  }

  #usualMs(id: BucketId): number {
    return this.#rings.get(id)?.usualMs ?? UNKNOWN_MS;
  }
}

function usualOf(samples: Float64Array): number {
  const usual = samples.sort()[Math.ceil(PERCENTILE * samples.length) - 1] ?? UNKNOWN_MS;
  return Math.min(MOST_MS, Math.max(LEAST_MS, usual));
}
