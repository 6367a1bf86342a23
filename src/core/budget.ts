/**
 * A bounded amount of something (bytes of memory) shared by everyone in the process, first come first served.
 *
 * Whoever holds a share while it waits for its own client says so ({@link Share.idle}); when others wait for memory
 * and such a share has been idle for the grace time, it is taken back. So a thousand stalled connections cannot stop
 * the others, and the total still never exceeds the bound.
 */
import { VaultError } from "./errors.js";

interface BudgetOptions {
  /** More callers than this waiting at once are turned away with BUSY. */
  readonly maxWaiters: number;
  /** How long a share may be idle, in milliseconds, while others wait. */
  readonly idleGraceMs: number;
}

const RETRY_AFTER_SECONDS = 5;

export class Budget {
  #free: number;
  readonly #waiters: Waiter[] = [];
  readonly #idle = new Set<Share>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly total: number,
    private readonly options: BudgetOptions,
  ) {
    this.#free = total;
  }

  /** What is not held by anyone. */
  get free(): number {
    return this.#free;
  }

  /** How many callers wait for a share. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * Waits for a share of `amount`; more than the total counts as the total, so that one large holder can still run
   * alone. Rejects with BUSY when too many wait already, or with the signal's reason.
   */
  async acquire(amount: number, signal?: AbortSignal): Promise<Share> {
    signal?.throwIfAborted();
    const share = this.#waiters.length === 0 ? this.tryAcquire(amount) : null;
    if (share) return share;
    if (this.#waiters.length >= this.options.maxWaiters) {
      throw new VaultError("BUSY", `${this.#waiters.length} callers wait already`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Share>();
    const waiter: Waiter = { amount: this.#clip(amount), resolve };
    const onAbort = () => {
      const place = this.#waiters.indexOf(waiter);
      if (place < 0) return; // it has its share already
      this.#waiters.splice(place, 1);
      reject(signal?.reason);
      this.#serve();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#waiters.push(waiter);
    this.#watch();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** A share if there is room for it this moment, else null. */
  tryAcquire(amount: number): Share | null {
    const clipped = this.#clip(amount);
    if (clipped > this.#free) return null;
    this.#free -= clipped;
    return new Share(clipped, this.#idle, released => this.#release(released));
  }

  #clip(amount: number): number {
    return Math.min(amount, this.total);
  }

  #release(share: Share): void {
    this.#free += share.amount;
    this.#serve();
  }

  #serve(): void {
    for (let next = this.#waiters[0]; next; next = this.#waiters[0]) {
      const share = this.tryAcquire(next.amount);
      if (!share) break;
      this.#waiters.shift();
      next.resolve(share);
    }
    if (this.#waiters.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /** While anyone waits, takes back what has been idle for too long, the longest idle first. */
  #watch(): void {
    this.#timer ??= setInterval(() => {
      const [longest] = this.#idle; // a Set keeps the order in which shares became idle
      if (longest && longest.idleMs >= this.options.idleGraceMs) longest.reclaim();
    }, this.options.idleGraceMs / 4).unref();
  }
}

interface Waiter {
  readonly amount: number;
  readonly resolve: (share: Share) => void;
}

/** What one caller holds of a budget, until it releases it. */
export class Share implements Disposable {
  #since = 0;
  #reclaim: (() => void) | undefined;
  #isReleased = false;

  constructor(
    readonly amount: number,
    private readonly idleShares: Set<Share>,
    private readonly onRelease: (share: Share) => void,
  ) {}

  get idleMs(): number {
    return performance.now() - this.#since;
  }

  /** The holder waits for its client from now on; `reclaim` is to make it let go, soon and by itself. */
  idle(reclaim: () => void): void {
    if (this.#isReleased) return;
    this.#since = performance.now();
    this.#reclaim = reclaim;
    this.idleShares.add(this);
  }

  /** The holder has work to do again. */
  busy(): void {
    this.idleShares.delete(this);
    this.#reclaim = undefined;
  }

  reclaim(): void {
    const reclaim = this.#reclaim;
    this.busy();
    reclaim?.();
  }

  /** Gives the share back; a second call does nothing. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.busy();
    this.onRelease(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
