/** Work that is under way at most once for each key: whoever asks for it meanwhile waits for the same. */
export class OnceEach<K, T> {
  readonly #underWay = new Map<K, Promise<T>>();

  run(key: K, work: () => Promise<T>): Promise<T> {
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const begun = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, begun);
    return begun;
  }

  has(key: K): boolean {
    return this.#underWay.has(key);
  }

  /** Resolves once what is under way has ended, in whatever way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
  }
}
