/**
 * The PasswordHasher on threads of its own with a low priority. On libuv's pool, Argon2id's lanes take every core from
 * the event loop and the sealing threads as long as somebody tries passwords; here they take what is left over.
 */
import { Piscina } from "piscina";
import type { PasswordHasher } from "../core/ports.js";
import type { PasswordParams } from "../format/argon.js";
import { checkArgonCost } from "../format/argon.js";
import type { FileId } from "../format/id.js";
import type { HashTask } from "./argon-worker.js";

/**
 * Against work of the normal priority on the same core, about a tenth of it. Linux only, where priority belongs to a
 * thread and the threads of Argon2id's lanes take it over; elsewhere nothing happens.
 */
const NICENESS = 10;

export class HasherPool implements PasswordHasher {
  readonly #pool: Piscina;

  /** `threads`: how many passwords are hashed at once; core asks for no more. */
  constructor(threads: number) {
    this.#pool = new Piscina({
      filename: new URL("./argon-worker.js", import.meta.url).href,
      minThreads: 1,
      maxThreads: threads,
      niceIncrement: NICENESS,
    });
  }

  async key(
    password: string,
    params: PasswordParams,
    fileId: FileId,
    pepper?: Uint8Array,
  ): Promise<Uint8Array> {
    checkArgonCost(params); // here, where a FormatError keeps its class
    return await this.#pool.run({ password, params, fileId, pepper } satisfies HashTask);
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }
}
