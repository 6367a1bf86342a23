/** How long a bucket usually takes to answer a read: what "late" is measured by. */
import type { BucketId } from "./model.js";

/** The last answers that count, for each bucket. */
const SAMPLES = 128;
/** Until so many have come, nothing is usual yet. */
const FEW = 16;
const UNKNOWN_MS = 250;
/** A read is never late before this, nor punctual after that, in milliseconds. */
const LEAST_MS = 50;
const MOST_MS = 2_000;
const PERCENTILE = 0.99;

export class Latencies {
  readonly #rings = new Map<BucketId, { ms: Float64Array; count: number }>();

  add(id: BucketId, ms: number): void {
    const ring = this.#rings.get(id) ?? { ms: new Float64Array(SAMPLES), count: 0 };
    this.#rings.set(id, ring);
    ring.ms[ring.count++ % SAMPLES] = ms;
  }

  /** What 99 of 100 answers took at most, within bounds. */
  lateMs(id: BucketId): number {
    const ring = this.#rings.get(id);
    if (!ring || ring.count < FEW) return UNKNOWN_MS;
    const sorted = ring.ms.slice(0, Math.min(ring.count, SAMPLES)).sort();
    const usual = sorted[Math.ceil(PERCENTILE * sorted.length) - 1] ?? UNKNOWN_MS;
    return Math.min(MOST_MS, Math.max(LEAST_MS, usual));
  }
}
