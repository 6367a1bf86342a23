/** What becomes of those who hold memory that others wait for. */
import { VaultError } from "./errors.js";

const RETRY = { retryAfterSeconds: 10 };

/** Of a client whose bytes the memory waits for. */
export function tooSlowForMemory(): VaultError {
  return new VaultError("SLOW_CLIENT", "memory is short and this client sends too slowly", RETRY);
}

/**
 * For work that holds a piece while it waits for memory for the next: a few of those could wait for each other for ever.
 * `signal` fires with the given one, and with BUSY once `onReclaim` has been called.
 */
export function untilReclaimed(given: AbortSignal): { signal: AbortSignal; onReclaim: () => void } {
  const reclaimed = new AbortController();
  const onReclaim = () => reclaimed.abort(new VaultError("BUSY", "memory is short", RETRY));
  return { signal: AbortSignal.any([given, reclaimed.signal]), onReclaim };
}
