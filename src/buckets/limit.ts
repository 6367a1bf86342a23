/**
 * Lets at most so many operations run on a bucket at once; the rest wait in order of arrival. Own code, not p-limit:
 * who gives up must leave the queue at once, for a waiting put holds its bytes. Where the bucket lets an attempt wait for its whole
 * deadline, those who have been in the queue as long end with it: one after the other they would hold their bytes for minutes.
 */
import type { Bucket } from "../core/ports.js";
import { LateError } from "./deadline.js";
import { wrap } from "./wrap.js";

export function limited(inner: Bucket, maxConcurrent: number): Bucket {
  const places = new Places(maxConcurrent);
  return wrap(inner, async (_, attempt, signal) => {
    signal?.throwIfAborted();
    await places.take(signal);
    const began = performance.now();
    try {
      return await attempt(signal);
    } catch (error) {
      // One that is the signal's reason comes from an attempt that has been given up, and whose bucket answers again.
      if (error instanceof LateError && error !== signal?.reason) places.refuse(began, error);
      throw error;
    } finally {
      places.giveBack();
    }
  });
}

class Places {
  /** Insertion order is the order of service. */
  readonly #waiting = new Set<Waiter>();

  constructor(private free: number) {}

  async take(signal: AbortSignal | undefined): Promise<void> {
    if (this.free > 0) this.free--;
    else await this.#turn(signal);
  }

  /** Hands the place to the one who has waited longest, or frees it. */
  giveBack(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.free++;
      return;
    }
    this.#waiting.delete(next);
    next.enter();
  }

  /** Those that have waited since `time`, by `performance.now()`. */
  refuse(time: number, reason: Error): void {
    for (const waiter of this.#waiting) if (waiter.since <= time) waiter.leave(reason);
  }

  /** Resolves when a place has been handed over. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.leave(signal?.reason);
      const waiter: Waiter = {
        since: performance.now(),
        enter() {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        leave: reason => {
          signal?.removeEventListener("abort", onAbort);
          this.#waiting.delete(waiter);
          reject(reason);
        },
      };
      this.#waiting.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

interface Waiter {
  readonly since: number;
  enter(): void;
  leave(reason: unknown): void;
}
