/**
 * Argon2id within bounds: how many run at once, by the memory they hold, and how many may wait for that; the others are
 * told BUSY at once. What it has done is counted, so that an operator sees guessing, and a server that is too small.
 */
import type { Budget, Share } from "./budget.js";
import { VaultError } from "./errors.js";
import type { PasswordHasher } from "./ports.js";

/** Since the process began, but for `running` and `waiting`. */
export interface ArgonCounts {
  readonly runs: number;
  /** What the runs took, all together. */
  readonly seconds: number;
  /** Told BUSY: they did not run. */
  readonly rejected: number;
  readonly running: number;
  readonly waiting: number;
}

export class ArgonRuns implements PasswordHasher {
  #runs = 0;
  #seconds = 0;
  #rejected = 0;
  #running = 0;

  /** `budget` is in KiB. */
  constructor(
    private readonly hasher: PasswordHasher,
    private readonly budget: Budget,
  ) {}

  get counts(): ArgonCounts {
    return {
      runs: this.#runs,
      seconds: this.#seconds,
      rejected: this.#rejected,
      running: this.#running,
      waiting: this.budget.waiting,
    };
  }

  /** The right to one run that holds `memoryKiB`, until it is disposed of. Rejects with BUSY when too many wait already. */
  async admit(memoryKiB: number): Promise<Disposable & PasswordHasher> {
    const share = await this.#acquire(memoryKiB);
    return { key: (...input) => this.#run(...input), [Symbol.dispose]: () => share.release() };
  }

  /** One run, once it is admitted. */
  async key(...input: Parameters<PasswordHasher["key"]>): Promise<Uint8Array> {
    using admitted = await this.admit(input[1].memoryKiB);
    return await admitted.key(...input); // awaited here: the share is held until it is done
  }

  async #run(...input: Parameters<PasswordHasher["key"]>): Promise<Uint8Array> {
    this.#runs++;
    this.#running++;
    const began = performance.now();
    try {
      return await this.hasher.key(...input);
    } finally {
      this.#running--;
      this.#seconds += (performance.now() - began) / 1000;
    }
  }

  async #acquire(memoryKiB: number): Promise<Share> {
    try {
      return await this.budget.acquire(memoryKiB);
    } catch (error) {
      if (error instanceof VaultError && error.code === "BUSY") this.#rejected++;
      throw error;
    }
  }
}
