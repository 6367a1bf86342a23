import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** A bucket may take longer to take a tail than a client should wait to be told anything. */
const MAX_WAIT_MS = 3_000;

/**
 * Requests whose client has left, until what they had brought is kept. It comes back at once, and asks where its upload stands:
 * told of the offset before, it would go on there and be refused a moment later, at which several clients give up.
 */
export class Leaving {
  readonly #underWay = new Map<string, Promise<unknown>>();

  /** `work` is what the request brings to the upload. */
  watch(token: string, req: IncomingMessage, work: Promise<unknown>): void {
    const onClose = () => void (req.complete || this.#underWay.set(token, work));
    req.once("close", onClose);
    const forget = () => {
      req.off("close", onClose);
      if (this.#underWay.get(token) === work) this.#underWay.delete(token);
    };
    work.then(forget, forget);
  }

  /** Resolves once the last of them has ended, as far as this process knows, or has taken too long. */
  async settled(token: string): Promise<void> {
    const work = this.#underWay.get(token);
    if (work === undefined) return;
    await Promise.race([work.catch(() => {}), sleep(MAX_WAIT_MS, undefined, { ref: false })]);
  }
}
