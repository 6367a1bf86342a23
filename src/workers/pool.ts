/** Sealer and ParityCoder on a pool of threads, so that AES, SHA-256 and parity never hold up the event loop. */
import type { ParityCoder, ParitySum, PlainHash, SealedChunk, Sealer } from "../core/sealing.js";
import { FormatError } from "../format/errors.js";
import type { FloeMessage } from "../format/floe.js";
import { openSegments } from "../format/floe.js";
import { storedBytes } from "../format/layout.js";
import type { ParityProfile } from "../format/parity/code.js";
import type { Columns, StripeRead } from "../format/parity/rebuild.js";
import { Buffers, owned } from "./buffers.js";
import { InlineSealer } from "./inline.js";
import { LaneHash } from "./lane-hash.js";
import { Lanes } from "./lanes.js";
import type { Done, SumTask, Task, TaskAnswer } from "./seal-worker.js";

/** Below this many bytes the trip to a thread and back (about 50 µs) costs more than sealing here (under 40 µs). */
const INLINE_BYTES = 64 * 1024;
/** Up to this many bytes, which take under a millisecond, chunks are opened here: a thread would cost two trips of them. */
const OPEN_INLINE_BYTES = 1024 * 1024;

export class SealerPool implements Sealer, ParityCoder {
  readonly #lanes: Lanes<Task, TaskAnswer>;
  readonly #inline = new InlineSealer();
  readonly #buffers = new Buffers();

  /** `threads`: how many chunks are sealed or opened at once; a core each is enough. */
  constructor(threads: number) {
    this.#lanes = new Lanes(new URL("./seal-worker.js", import.meta.url), threads);
  }

  buffer(bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffers.take(bytes));
  }

  async seal(
    message: FloeMessage,
    position: number,
    plain: Uint8Array,
    isLast: boolean,
    into?: { readonly sum: ParitySum; readonly shard: number },
  ): Promise<SealedChunk> {
    if (plain.length < INLINE_BYTES) return this.#inline.seal(message, position, plain, isLast, into);
    const { segmentBytes } = message.params;
    const memory = this.#buffers.take(storedBytes({ chunkBytes: segmentBytes, segmentBytes }, plain.length));
    const sum = into ? sumTask(into.sum, into.shard) : null;
    const segments = { message, position, isLast, plain: owned(plain) };
    const done = await this.#run({ verb: "seal", ...segments, into: memory, sum }, [
      segments.plain.buffer,
      memory,
      ...buffersOf(sum?.chunks ?? []),
    ]);
    if (into) moved(into.sum, done);
    return sealedChunks(done)[0] as SealedChunk; // one chunk in, one chunk out
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
    const task = { verb: "open", message, position, stored: owned(stored), isLast } as const;
    const { chunks } = await this.#run(task, [task.stored.buffer]);
    return chunks[0] as Uint8Array; // one chunk in, one chunk out
  }

  /** On one thread from its first bytes on: a native hash cannot move. */
  plainHash(): PlainHash {
    const lane = this.#lanes.idlest();
    let place: PlainHash | undefined;
    return {
      update: plain => {
        // The chunks of a file are of one size but the last, so that the first says whether trips to a thread pay.
        const isSmall = plain.length < INLINE_BYTES;
        place ??= isSmall ? this.#inline.plainHash() : new LaneHash((...task) => this.#run(...task, lane));
        return place.update(plain);
      },
      digest: () => (place ?? this.#inline.plainHash()).digest(),
      release: () => place?.release(),
    };
  }

  recycle({ buffer, byteLength }: Uint8Array): void {
    if (buffer.byteLength === byteLength) this.#buffers.give(buffer); // else it is a part of what others may hold
  }

  begin(profile: ParityProfile, bytes: number): ParitySum {
    const chunks = Array.from({ length: profile.parityChunks }, () => this.buffer(bytes));
    return { profile, chunks, isEmpty: true };
  }

  async add(sum: ParitySum, shard: number, stored: Uint8Array): Promise<void> {
    if (stored.length < INLINE_BYTES) return this.#inline.add(sum, shard, stored);
    const task = { verb: "add", stored: owned(stored), sum: sumTask(sum, shard) } as const;
    moved(sum, await this.#run(task, [task.stored.buffer, ...buffersOf(task.sum.chunks)]));
  }

  async end(sum: ParitySum): Promise<readonly SealedChunk[]> {
    if (totalBytes(sum.chunks) < INLINE_BYTES) return this.#inline.end(sum);
    const chunks = sum.chunks.map(owned);
    return sealedChunks(await this.#run({ verb: "digest", chunks }, buffersOf(chunks)));
  }

  async rebuild(
    read: StripeRead,
    missing: readonly number[],
    columns?: Columns,
  ): Promise<readonly Uint8Array[]> {
    const bytes = totalBytes([...read.present.values()]);
    if (bytes < INLINE_BYTES) return this.#inline.rebuild(read, missing, columns);
    const present = new Map([...read.present].map(([shard, stored]) => [shard, owned(stored)]));
    const task = { verb: "rebuild", read: { ...read, present }, missing, columns } as const;
    return (await this.#run(task, buffersOf([...present.values()]))).chunks;
  }

  async close(): Promise<void> {
    await this.#lanes.close();
  }

  async #run(task: Task, transferList: ArrayBuffer[], lane = this.#lanes.idlest()): Promise<Done> {
    const answer = await this.#lanes.run(lane, task, transferList);
    if ("formatError" in answer) throw new FormatError(answer.formatError);
    for (const buffer of answer.used) this.#buffers.give(buffer);
    return answer;
  }
}

function sumTask({ profile, chunks, isEmpty }: ParitySum, shard: number): SumTask {
  return { profile, shard, chunks: chunks.map(owned), isEmpty };
}

/** The sum as it came back. */
function moved(sum: ParitySum, { sum: chunks }: Done): void {
  sum.chunks = chunks;
  sum.isEmpty = false;
}

function sealedChunks({ chunks, digests }: Done): SealedChunk[] {
  return chunks.map((bytes, at) => ({ bytes, digest: digests[at] as Uint8Array })); // as many digests as chunks
}

function totalBytes(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

function buffersOf(chunks: readonly Uint8Array<ArrayBuffer>[]): ArrayBuffer[] {
  return chunks.map(({ buffer }) => buffer);
}
