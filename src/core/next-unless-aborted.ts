/** One step of an iteration that somebody else may end. */

/** The iterator's next, or the signal's reason. (Promise.race would keep every piece alive until the signal fires.) */
export function nextUnlessAborted<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal,
): Promise<IteratorResult<T>> {
  const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T>>();
  if (signal.aborted) return Promise.reject(signal.reason);
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  iterator
    .next()
    .then(resolve, reject)
    .finally(() => signal.removeEventListener("abort", onAbort));
  return promise;
}
