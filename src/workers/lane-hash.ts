/** A PlainHash in a thread. */
import { randomUUID } from "node:crypto";
import type { PlainHash } from "../core/sealing.js";
import { owned } from "./buffers.js";
import type { Done, Task } from "./seal-worker.js";

export class LaneHash implements PlainHash {
  readonly #id = randomUUID();
  /** One after the other: the pool does not promise to begin tasks in the order in which it was given them. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `run`: always on the same thread. */
  constructor(private readonly run: (task: Task, transferList: ArrayBuffer[]) => Promise<Done>) {}

  async update(plain: Uint8Array): Promise<Uint8Array> {
    const bytes = owned(plain);
    const done = await this.#inTurn({ verb: "hash", id: this.#id, plain: bytes }, [bytes.buffer]);
    return done.chunks[0] as Uint8Array; // what was sent comes back
  }

  async digest(): Promise<Uint8Array> {
    const done = await this.#inTurn({ verb: "endHash", id: this.#id }, []);
    return done.digests[0] as Uint8Array; // one hash, one digest
  }

  release(): void {
    void this.digest().catch(() => {}); // the pool is closing: the thread's memory goes with it
  }

  #inTurn(task: Task, transferList: ArrayBuffer[]): Promise<Done> {
    const done = this.#queue.then(() => this.run(task, transferList));
    this.#queue = done.catch(() => {}); // told to whoever waits for it
    return done;
  }
}
