import { setTimeout as sleep } from "node:timers/promises";

/** A bucket may take longer to take a tail than a client should wait to be told anything. */
const MAX_WAIT_MS = 3_000;

interface Sending {
  /** What the request brings to the upload. */
  readonly work: Promise<unknown>;
  hasLeft: boolean;
}

/**
 * Requests whose client has left, until what they had brought is kept. It comes back at once, and asks where its upload stands:
 * told of the offset before, it would go on there and be refused a moment later, at which several clients give up.
 */
export class Leaving {
  /** By the upload's token, in the order in which they came. */
  readonly #sending = new Map<string, readonly Sending[]>();

  /** `gone` fires when the client has left, or is told that it is too slow. */
  watch(token: string, gone: AbortSignal, work: Promise<unknown>): void {
    const mine: Sending = { work, hasLeft: gone.aborted };
    this.#sending.set(token, [...(this.#sending.get(token) ?? []), mine]);
    const leave = () => {
      mine.hasLeft = true;
    };
    gone.addEventListener("abort", leave, { once: true });
    const end = (isDone: boolean) => {
      gone.removeEventListener("abort", leave);
      const all = this.#sending.get(token) ?? [];
      // What has got bytes into the upload has taken it over from those before it: they can bring nothing more.
      const others = isDone ? all.slice(all.indexOf(mine) + 1) : all.filter(other => other !== mine);
      if (others.length > 0) this.#sending.set(token, others);
      else this.#sending.delete(token);
    };
    work.then(
      () => end(true),
      () => end(false),
    );
  }

  /** Resolves once they have ended, as far as this process knows, or have taken too long. */
  async settled(token: string): Promise<void> {
    const left = (this.#sending.get(token) ?? []).filter(({ hasLeft }) => hasLeft);
    if (left.length === 0) return;
    const ended = Promise.allSettled(left.map(({ work }) => work));
    await Promise.race([ended, sleep(MAX_WAIT_MS, undefined, { ref: false })]);
  }
}
