/**
 * A bounded amount of something (bytes of memory) shared by everyone in the process, first come first served.
 *
 * Whoever holds a share while it waits for its own client says so ({@link Share.idle}); when others wait for memory
 * and such a share has been idle for the grace time, or a little at a time for several of them, it is taken back. So a
 * thousand connections that stall or trickle cannot stop the others, and the total still never exceeds the bound.
 */
import { VaultError } from "./errors.js";

interface BudgetOptions {
  /** More callers than this waiting at once are turned away with BUSY. */
  readonly maxWaiters: number;
  /** How long a share may be idle, in milliseconds, while others wait. */
  readonly idleGraceMs: number;
  /** Whether large shares leave room, so that who wants much keeps nobody waiting who wants little. */
  readonly keepsRoom?: boolean;
}

const RETRY_AFTER_SECONDS = 5;
/** In all a share may be idle for so many times the grace time: a chunk of 1 MiB is then full at 17 KiB a second. */
const GRACES = 6;
/** Where only large ones wait, which take longer to fill: one of 64 MiB is then full at 110 KiB a second. */
const LARGE_GRACES = 60;
/** Parts of the total. A share of more than this is large … */
const LARGE = 1 / 4;
/** … and if there is to be room, the large ones are no more than this together. */
const LARGE_TOGETHER = 3 / 4;

export class Budget {
  #free: number;
  /** Of what is held, what is in large shares. */
  #large = 0;
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
   * Waits for a share of `amount`; more than there ever is counts as all there is, so that one large holder can still run
   * alone. Rejects with BUSY when too many wait already, or with the signal's reason.
   */
  async acquire(amount: number, signal?: AbortSignal): Promise<Share> {
    signal?.throwIfAborted();
    const clipped = this.#clip(amount);
    if (this.#isNext(clipped)) return this.#take(clipped);
    if (this.#waiters.length >= this.options.maxWaiters) {
      throw new VaultError("BUSY", `${this.#waiters.length} callers wait already`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Share>();
    const waiter: Waiter = { amount: clipped, resolve };
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

  /** A share if there is room for it this moment and nobody waits, else null. */
  tryAcquire(amount: number): Share | null {
    const clipped = this.#clip(amount);
    return this.#waiters.length === 0 && this.#isNext(clipped) ? this.#take(clipped) : null;
  }

  #take(amount: number): Share {
    this.#hold(amount);
    return new Share(amount, this.#idle, () => {
      this.#hold(-amount);
      this.#serve();
    });
  }

  #hold(amount: number): void {
    this.#free -= amount;
    if (this.#isLarge(Math.abs(amount))) this.#large += amount;
  }

  #clip(amount: number): number {
    return Math.min(amount, this.options.keepsRoom ? LARGE_TOGETHER * this.total : this.total);
  }

  #isLarge(amount: number): boolean {
    return Boolean(this.options.keepsRoom) && amount > LARGE * this.total;
  }

  /** Whether it would have to wait for large shares, however much is free. */
  #isKeptOut(amount: number): boolean {
    return this.#isLarge(amount) && this.#large + amount > LARGE_TOGETHER * this.total;
  }

  /** Who waits in line. Large ones that are kept out stand aside, in their order. */
  #line(): readonly Waiter[] {
    const large = this.#waiters.find(({ amount }) => this.#isLarge(amount));
    if (!large || !this.#isKeptOut(large.amount)) return this.#waiters;
    return this.#waiters.filter(({ amount }) => !this.#isLarge(amount));
  }

  /** Whether one who comes now need not wait. */
  #isNext(amount: number): boolean {
    if (amount > this.#free || this.#isKeptOut(amount)) return false;
    return (this.#isLarge(amount) ? this.#waiters : this.#line()).length === 0;
  }

  #serve(): void {
    for (let [next] = this.#line(); next && next.amount <= this.#free; [next] = this.#line()) {
      this.#waiters.splice(this.#waiters.indexOf(next), 1);
      next.resolve(this.#take(next.amount));
    }
    if (this.#waiters.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /** While anyone waits, takes back one share at a time whose holder is too slow, from the slowest. */
  #watch(): void {
    const { idleGraceMs } = this.options;
    this.#timer ??= setInterval(() => {
      const isForLarge = this.#line().length === 0; // then what small ones hold is of no use
      const graces = isForLarge ? LARGE_GRACES : GRACES;
      const slow = [...this.#idle].filter(
        ({ amount, idleMs, idledMs }) =>
          (!isForLarge || this.#isLarge(amount)) &&
          (idleMs >= idleGraceMs || idledMs >= graces * idleGraceMs),
      );
      slow.sort((one, other) => other.idledMs - one.idledMs)[0]?.reclaim();
    }, idleGraceMs / 4).unref();
  }
}

interface Waiter {
  readonly amount: number;
  readonly resolve: (share: Share) => void;
}

/** What one caller holds of a budget, until it releases it. */
export class Share implements Disposable {
  #since = 0;
  #idledBefore = 0;
  #reclaim: (() => void) | undefined;
  #isReleased = false;

  constructor(
    readonly amount: number,
    private readonly idleShares: Set<Share>,
    private readonly onRelease: () => void,
  ) {}

  /** How long it has been idle this time. */
  get idleMs(): number {
    return performance.now() - this.#since;
  }

  /** How long it has been idle in all. */
  get idledMs(): number {
    return this.#idledBefore + this.idleMs;
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
    if (this.idleShares.delete(this)) this.#idledBefore += this.idleMs;
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
    this.onRelease();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
