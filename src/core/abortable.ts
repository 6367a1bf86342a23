/** The steps of an iteration that somebody else may end. */
export class Abortable<T> implements Disposable {
  #abort: ((reason: unknown) => void) | undefined;

  /** One listener for all steps: to add one for each takes longer than many a step. */
  constructor(
    private readonly iterator: AsyncIterator<T>,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", this.#onAbort);
  }

  /** The iterator's next, or the signal's reason. (Promise.race would keep every piece alive until the signal fires.) */
  next(): Promise<IteratorResult<T>> {
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    return new Promise((resolve, reject) => {
      this.#abort = reject;
      this.iterator.next().then(resolve, reject);
    });
  }

  [Symbol.dispose](): void {
    this.signal.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.#abort?.(this.signal.reason);
}
