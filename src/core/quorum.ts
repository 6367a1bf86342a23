/** As many results as are needed, of more attempts than that: whichever come first. */
import { setTimeout as sleep } from "node:timers/promises";

interface QuorumOptions {
  readonly needed: number;
  /** After this long the attempts that were kept back begin as well, in milliseconds. */
  readonly lateMs: number;
  readonly signal: AbortSignal;
}

/**
 * Begins `needed` attempts, another for each that fails, and all that are left when some are late. Resolves with the
 * first `needed` results, in the order in which they came; the signal that the others were given then fires. Rejects with the
 * last failure when too few are left.
 */
export async function quorum<T>(
  attempts: readonly ((signal: AbortSignal) => Promise<T>)[],
  { needed, lateMs, signal }: QuorumOptions,
): Promise<T[]> {
  if (needed === 0) return [];
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const { promise, resolve, reject } = Promise.withResolvers<T[]>();
  const results: T[] = [];
  const waiting = [...attempts];
  let failures = 0;
  const begin = () => {
    waiting
      .shift()?.(until)
      .then(
        result => {
          if (results.push(result) === needed) resolve([...results]);
        },
        (error: unknown) => {
          failures++;
          if (attempts.length - failures < needed) reject(error);
          else begin();
        },
      );
  };
  if (attempts.length < needed) throw new RangeError(`${attempts.length} attempts for ${needed} results`);
  for (let i = 0; i < needed; i++) begin();
  const late = sleep(lateMs, undefined, { signal: until }).then(
    () => {
      while (waiting.length > 0) begin();
    },
    () => {}, // all came in time, or nobody waits any more
  );
  try {
    return await promise;
  } finally {
    stop.abort();
    await late;
  }
}
