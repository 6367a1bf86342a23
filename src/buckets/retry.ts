/**
 * Tries again what may pass: the one place where bucket operations are repeated, for all providers. Every operation
 * of the port is idempotent, so an answer that was lost can be asked for again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { BucketError } from "../core/errors.js";
import type { Bucket } from "../core/ports.js";
import { SlowDownError } from "./slow-down.js";
import { wrap } from "./wrap.js";

export interface RetryOptions {
  /** Tries altogether, the first included. */
  readonly attempts: number;
  /** The longest possible pause before the second try; doubles with each further one. */
  readonly baseDelayMs: number;
  /** The longest possible pause at all. */
  readonly maxDelayMs: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** Repeats `unavailable` calls, and no others. */
export function retrying(inner: Bucket, options: RetryOptions): Bucket {
  return wrap(inner, async (_, attempt, signal) => {
    for (let attemptIndex = 0; ; attemptIndex++) {
      signal?.throwIfAborted();
      try {
        return await attempt(signal);
      } catch (error) {
        signal?.throwIfAborted();
        const pauseMs = pauseAfter(error, attemptIndex, options);
        if (pauseMs === null) throw error;
        await pause(pauseMs, signal);
      }
    }
  });
}

/** How long to wait, in milliseconds, before trying again; null: not at all. */
function pauseAfter(error: unknown, attemptIndex: number, options: RetryOptions): number | null {
  const { attempts, baseDelayMs, maxDelayMs, random = Math.random } = options;
  if (!(error instanceof BucketError) || error.failure !== "unavailable") return null;
  if (attemptIndex + 1 >= attempts) return null;
  const wantedMs = error instanceof SlowDownError ? error.retryAfterMs : 0;
  // Told to stay away for longer than this: another bucket is the better answer, and core knows one.
  if (wantedMs > maxDelayMs) return null;
  // Full jitter, so that what failed together does not come back together:
  // https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
  return Math.max(wantedMs, random() * Math.min(maxDelayMs, baseDelayMs * 2 ** attemptIndex));
}

async function pause(pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(pauseMs, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted(); // with the caller's reason; timers reject with an AbortError of their own
    throw error;
  }
}
