/**
 * Lets at most so many operations run on a bucket at once; the rest wait in order of arrival. Own code, not p-limit:
 * who gives up must leave the queue at once, for a waiting put holds its bytes.
 */
import type { Bucket } from "../core/ports.js";
import { wrap } from "./wrap.js";

export function limited(inner: Bucket, maxConcurrent: number): Bucket {
  const places = new Places(maxConcurrent);
  return wrap(inner, async (_, attempt, signal) => {
    signal?.throwIfAborted();
    await places.take(signal);
    try {
      return await attempt(signal);
    } finally {
      places.giveBack();
    }
  });
}

class Places {
  /** Insertion order is the order of service. */
  readonly #waiting = new Set<() => void>();

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
    next();
  }

  /** Resolves when a place has been handed over. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(enter);
        reject(signal?.reason);
      };
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      this.#waiting.add(enter);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}
