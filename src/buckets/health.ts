/**
 * How the buckets do, as this process sees it: every attempt of the last fifteen minutes, in a slot for each minute. The
 * memory is fixed however much happens: a histogram of 11 KiB a slot, which tells a duration to about 6 %.
 */
import type { RecordableHistogram } from "node:perf_hooks";
import { createHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { BucketFailure } from "../core/errors.js";
import type { Bucket, BucketHealth, HealthReport } from "../core/ports.js";
import type { BucketCall } from "./wrap.js";

const SLOT_MS = 60_000;
const SLOTS = 15;
/** The longest duration that is told apart, in microseconds: ten minutes. */
const MAX_MICROS = 600_000_000;
/** A name no object has: that it is absent is an answer. */
const PROBE_KEY = "0".repeat(32);
const FIRST_BYTE = { first: 0, last: 0 };

/** `ok`, or why not; `error` is a bug. Attempts that their caller gave up say nothing of the bucket. */
export type Ending = "ok" | "error" | BucketFailure;

/** What a failure says of the bucket: a taken name and a full disk are answers all the same. */
const IS_ANSWER: Readonly<Record<Ending, boolean>> = {
  ok: true,
  conflict: true,
  full: true,
  unavailable: false,
  denied: false,
  error: false,
};

interface Slot {
  minute: number;
  readonly micros: RecordableHistogram;
  attempts: number;
  failures: number;
}

export class HealthOfBuckets implements BucketHealth {
  readonly #records = new Map<string, Observed>();

  /** `now` is monotonic, in milliseconds. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Takes note of one attempt that took `ms`. */
  note(bucket: string, operation: BucketCall["operation"] | "open", ending: Ending, ms: number): void {
    const record = this.#records.get(bucket) ?? new Observed();
    this.#records.set(bucket, record);
    record.note(this.now(), operation, ending, ms);
  }

  of(bucket: string): HealthReport | null {
    return this.#records.get(bucket)?.report(this.now()) ?? null;
  }

  /**
   * Asks each bucket that nobody has used for a minute whether it is there, until the signal fires. What comes of it is
   * noted where every attempt is. Bounded: one question a bucket at once, each ending at the deadline of any attempt.
   */
  async watch(buckets: readonly Bucket[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const idle = buckets.filter(({ name }) => (this.of(name)?.ageMs ?? SLOT_MS) >= SLOT_MS);
      await Promise.allSettled(idle.map(bucket => bucket.get(PROBE_KEY, FIRST_BYTE, signal)));
      await sleep(SLOT_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}

class Observed {
  readonly #slots: Slot[] = [];
  #lastAt = 0;
  #isReachable = false;
  #lastError: { readonly at: number; readonly text: string } | null = null;

  note(now: number, operation: string, ending: Ending, ms: number): void {
    const slot = this.#slotAt(now);
    slot.attempts++;
    this.#lastAt = now;
    this.#isReachable = IS_ANSWER[ending];
    if (ending === "ok") slot.micros.record(Math.min(MAX_MICROS, Math.max(1, Math.round(ms * 1000))));
    if (ending === "ok" || ending === "conflict") return;
    slot.failures++;
    this.#lastError = { at: now, text: `${operation}: ${ending}` };
  }

  report(now: number): HealthReport {
    const oldest = Math.floor(now / SLOT_MS) - SLOTS + 1;
    const recent = this.#slots.filter(({ minute }) => minute >= oldest);
    const micros = newHistogram();
    for (const slot of recent) micros.add(slot.micros);
    const attempts = recent.reduce((sum, slot) => sum + slot.attempts, 0);
    const failures = recent.reduce((sum, slot) => sum + slot.failures, 0);
    const percentileMs = (percent: number) => (micros.count === 0 ? null : micros.percentile(percent) / 1000);
    const { at, text } = this.#lastError ?? { at: Number.NEGATIVE_INFINITY, text: null };
    return {
      isReachable: this.#isReachable,
      ageMs: now - this.#lastAt,
      latencyMsP50: percentileMs(50),
      latencyMsP95: percentileMs(95),
      errorRate: attempts === 0 ? null : failures / attempts,
      lastError: Math.floor(at / SLOT_MS) >= oldest ? text : null,
    };
  }

  #slotAt(now: number): Slot {
    const minute = Math.floor(now / SLOT_MS);
    const index = minute % SLOTS;
    const known = this.#slots[index];
    if (known?.minute === minute) return known;
    const slot = { minute, micros: newHistogram(), attempts: 0, failures: 0 };
    this.#slots[index] = slot;
    return slot;
  }
}

function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: MAX_MICROS, figures: 1 });
}
