/** The Sealer on a pool of threads, so that AES and SHA-256 never hold up the event loop. */
import { Piscina } from "piscina";
import type { SealedChunk, Sealer } from "../core/ports.js";
import { FormatError } from "../format/errors.js";
import type { FloeMessage } from "../format/floe.js";
import { openSegments } from "../format/floe.js";
import { storedBytes } from "../format/layout.js";
import { Buffers } from "./buffers.js";
import { InlineSealer } from "./inline.js";
import type { SealAnswer, SealTask } from "./seal-worker.js";

/** Below this many bytes the trip to a thread and back (about 50 µs) costs more than sealing here (under 40 µs). */
const SEAL_INLINE_BYTES = 64 * 1024;
/** Up to this many bytes, which take under a millisecond, chunks are opened here: a thread would cost two trips of them. */
const OPEN_INLINE_BYTES = 1024 * 1024;

export class SealerPool implements Sealer {
  readonly #pool: Piscina;
  readonly #inline = new InlineSealer();
  readonly #buffers = new Buffers();

  /** `threads`: how many chunks are sealed or opened at once; a core each is enough. */
  constructor(threads: number) {
    this.#pool = new Piscina({
      filename: new URL("./seal-worker.js", import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
    });
  }

  buffer(bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffers.take(bytes));
  }

  async seal(
    message: FloeMessage,
    position: number,
    plain: Uint8Array,
    isLast: boolean,
  ): Promise<SealedChunk> {
    if (plain.length < SEAL_INLINE_BYTES) return this.#inline.seal(message, position, plain, isLast);
    const { segmentBytes } = message.params;
    const into = this.#buffers.take(storedBytes({ chunkBytes: segmentBytes, segmentBytes }, plain.length));
    const { bytes, digest } = await this.#run(
      { verb: "seal", message, position, plain: owned(plain), isLast, into },
      [into],
    );
    return { bytes, digest };
  }

  async open(
    message: FloeMessage,
    position: number,
    stored: Uint8Array,
    isLast: boolean,
  ): Promise<Uint8Array> {
    if (stored.length <= OPEN_INLINE_BYTES) {
      const opened = openSegments(message, position, stored, isLast, bytes => this.buffer(bytes));
      this.recycle(stored);
      return opened;
    }
    const { bytes } = await this.#run({ verb: "open", message, position, stored: owned(stored), isLast }, []);
    return bytes;
  }

  recycle({ buffer, byteLength }: Uint8Array): void {
    if (buffer.byteLength === byteLength) this.#buffers.give(buffer); // else it is a part of what others may hold
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #run(task: SealTask, memory: ArrayBuffer[]): Promise<Exclude<SealAnswer, { formatError: string }>> {
    const own = task.verb === "seal" ? task.plain : task.stored;
    const answer: SealAnswer = await this.#pool.run(task, { transferList: [own.buffer, ...memory] });
    if ("formatError" in answer) throw new FormatError(answer.formatError);
    if (task.verb === "seal") this.#buffers.give(answer.used);
    return answer;
  }
}

/** The bytes in a buffer that may be transferred: copied where they are a small part of one that is not theirs alone. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const isTheirs = buffer instanceof ArrayBuffer && byteLength >= buffer.byteLength / 2;
  return isTheirs ? new Uint8Array(buffer, bytes.byteOffset, byteLength) : new Uint8Array(bytes);
}
