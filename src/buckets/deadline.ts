/**
 * Ends an attempt that takes too long. It settles even if the adapter never does: a hung disk cannot be cancelled,
 * and what is left of the attempt is then ignored: every operation of the port is idempotent, but a system call that hangs
 * keeps its thread (open.ts).
 */
import { BucketError } from "../core/errors.js";
import type { Bucket } from "../core/ports.js";
import { untilAborted } from "./abort.js";
import { wrap } from "./wrap.js";

const MIB = 1024 * 1024;
/** The longest that a timer of Node's can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Time for one attempt: `baseMs`, and `perMiBMs` for each MiB that may move. */
export interface DeadlineOptions {
  readonly baseMs: number;
  readonly perMiBMs: number;
}

/** An attempt whose time was up. */
export class LateError extends BucketError {}

/** Makes a call `unavailable` when its time is up, and tells the adapter to stop. */
export function withDeadline(inner: Bucket, { baseMs, perMiBMs }: DeadlineOptions): Bucket {
  return wrap(inner, async ({ operation, key, maxBytes }, attempt, signal) => {
    signal?.throwIfAborted();
    const limitMs = Math.min(MAX_TIMER_MS, Math.ceil(baseMs + (maxBytes / MIB) * perMiBMs));
    // By hand, not AbortSignal.any(): the timer ends with the attempt, and so does the hold on a long-lived signal.
    const stop = new AbortController();
    const late = () => {
      const what = [operation, key].filter(Boolean).join(" ");
      stop.abort(new LateError("unavailable", `${inner.name}: ${what}: no answer in ${limitMs} ms`));
    };
    const cancel = () => stop.abort(signal?.reason);
    const timer = setTimeout(late, limitMs);
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await untilAborted(attempt(stop.signal), stop.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    }
  });
}
