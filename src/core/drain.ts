/**
 * Emptying buckets: everything that lies in one that is draining, or was disabled with a writer under way, is moved to
 * others, a bounded time at a time. Nothing is remembered between times: what was moved is no longer there to be found, and
 * each time begins at another place, so that what cannot be moved never stands before what can. Any number of replicas may
 * do it at once; a move that loses to another changes nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { newFileId } from "../format/id.js";
import { atOnce } from "./at-once.js";
import type { BucketId, BucketRecord } from "./model.js";
import type { BucketListing, ChunkPlace, ListedChunk } from "./moves.js";
import type { NewerDeps } from "./newer.js";
import { Newer } from "./newer.js";
import { shuffled } from "./placement.js";
import type { BucketDirectory } from "./ports.js";
import type { RepairDeps } from "./repair.js";
import { repairChunk } from "./repair.js";
import type { Outcome } from "./relocate.js";
import { relocateChunk, relocateTail } from "./relocate.js";

/** Moves under way at once; each holds one object in memory, out of the process's budget. */
const MOVES_AT_ONCE = 4;
const PAGE = 64;
const TAILS = 1000;
/** A bucket that failed this often in a row is left until the next time. */
const MAX_FAILURES = 16;
/** After this many reads in a row that a bucket did not answer, what lies there is rebuilt without asking for it. */
const AWAY_AFTER = 4;
/** Before the first file id. */
const FIRST = { fileId: "00000000-0000-0000-0000-000000000000", stripe: 0, shard: 0 };

export interface DrainDeps extends RepairDeps, NewerDeps {
  readonly directory: BucketDirectory;
  readonly listing: BucketListing;
  /** Bytes a second that this process moves at most. */
  readonly bytesPerSecond: number;
}

/**
 * How often each came of a move, and how many bytes were moved. `spared`: the buckets know, or too few of them answer to say
 * that they do not, of a file that this database takes for an upload; its chunks stay where that file looks for them.
 */
export type Drained = Record<Outcome | "spared" | "movedBytes", number>;

interface DrainOptions {
  /** When to stop, though there is more. */
  readonly timeMs: number;
  readonly signal: AbortSignal;
  /** Only this bucket. */
  readonly bucketId?: BucketId;
  readonly onMoved?: (drained: Readonly<Drained>) => void;
}

/** Goes once through every bucket that is to be emptied, as far as the time allows. */
export async function drain(deps: DrainDeps, options: DrainOptions): Promise<Drained> {
  await deps.buckets.refresh(); // the others must not be draining too
  const until = performance.now() + options.timeMs;
  const total = nothing();
  const newer = new Newer(deps, options.signal);
  const buckets = (await deps.directory.list()).filter(bucket => isToBeEmptied(bucket, options.bucketId));
  for (const bucket of shuffled(buckets, deps.random)) {
    const round = new Round(deps, bucket.id, options, until, newer, total);
    await round.go();
  }
  return total;
}

export function nothing(): Drained {
  const counts = { missing: 0, corrupt: 0, unreadable: 0, unplaced: 0, overtaken: 0, spared: 0 };
  return { moved: 0, movedBytes: 0, ...counts };
}

function isToBeEmptied({ id, state }: BucketRecord, only: BucketId | undefined): boolean {
  return (state === "draining" || state === "disabled") && (only ?? id) === id;
}

/** One going through one bucket. */
class Round {
  readonly #drained = nothing();
  #failuresInRow = 0;
  #unansweredInRow = 0;
  /** When the next move may begin. */
  #paceAt = 0;

  constructor(
    private readonly deps: DrainDeps,
    private readonly bucketId: BucketId,
    private readonly options: DrainOptions,
    private readonly until: number,
    private readonly newer: Newer,
    private readonly total: Drained,
  ) {}

  async go(): Promise<void> {
    const { deps, bucketId } = this;
    await deps.listing.endReservations(bucketId, deps.idleSeconds);
    await this.#moveTails();
    const chunks = this.#chunks();
    try {
      await atOnce(MOVES_AT_ONCE, () => this.#moveChunks(chunks));
    } finally {
      if (Object.values(this.#drained).some(count => count > 0))
        deps.log.info("drained", { bucketId, ...this.#drained });
    }
  }

  get #isOver(): boolean {
    this.options.signal.throwIfAborted();
    return performance.now() >= this.until || this.#failuresInRow >= MAX_FAILURES;
  }

  async #moveTails(): Promise<void> {
    for (const tail of await this.deps.listing.tails(this.bucketId, TAILS)) {
      if (this.#isOver) return;
      await this.#count(relocateTail(this.deps, tail, this.options.signal), tail.plainBytes);
    }
  }

  /** One of several that take from the same chunks. */
  async #moveChunks(chunks: AsyncGenerator<ListedChunk>): Promise<void> {
    for await (const chunk of shared(chunks)) {
      if (this.#isOver) return;
      await this.#count(this.#moveChunk(chunk), chunk.storedBytes);
    }
  }

  /** What cannot be read where it lies is rebuilt from the rest of its stripe, where its file is finished. */
  async #moveChunk(chunk: ListedChunk): Promise<Outcome | "spared"> {
    const { deps } = this;
    const { signal } = this.options;
    if (chunk.upload && (await this.newer.ofUpload(chunk.upload)).is !== "nothing") return "spared";
    const isAway = this.#unansweredInRow >= AWAY_AFTER;
    const outcome = isAway ? "unreadable" : await relocateChunk(deps, chunk, signal);
    this.#unansweredInRow = outcome === "unreadable" ? this.#unansweredInRow + 1 : 0;
    if (outcome !== "missing" && outcome !== "corrupt" && outcome !== "unreadable") return outcome;
    const file = await deps.files.find({ id: chunk.fileId });
    if (!file) return outcome;
    const repair = await repairChunk(deps, file, chunk, signal);
    if (repair === "lost") return outcome;
    return repair === "repaired" ? "moved" : "unplaced";
  }

  /** All of them, from anywhere on to the end, and then from the beginning. */
  async *#chunks(): AsyncGenerator<ListedChunk> {
    const start = newFileId();
    yield* this.#chunksAfter({ fileId: start, stripe: 0, shard: 0 });
    for await (const chunk of this.#chunksAfter(FIRST)) {
      if (chunk.fileId >= start) return;
      yield chunk;
    }
  }

  async *#chunksAfter(first: ChunkPlace): AsyncGenerator<ListedChunk> {
    for (let after = first; !this.#isOver; ) {
      const page = await this.deps.listing.chunks(this.bucketId, after, PAGE, this.deps.idleSeconds);
      yield* page;
      const last = page.at(-1);
      if (!last) return;
      after = last;
    }
  }

  async #count(moving: Promise<Outcome | "spared">, bytes: number): Promise<void> {
    const outcome = await moving;
    for (const counts of [this.#drained, this.total]) {
      counts[outcome]++;
      if (outcome === "moved") counts.movedBytes += bytes;
    }
    this.#failuresInRow = outcome === "unreadable" ? this.#failuresInRow + 1 : 0;
    if (outcome !== "moved") return;
    this.options.onMoved?.(this.total);
    const now = performance.now();
    this.#paceAt = Math.max(now, this.#paceAt) + (bytes / this.deps.bytesPerSecond) * 1000;
    await sleep(this.#paceAt - now, undefined, { signal: this.options.signal });
  }
}

/** The same chunks for another consumer, who may leave without ending them for the rest. */
function shared(chunks: AsyncGenerator<ListedChunk>): AsyncIterable<ListedChunk> {
  return { [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) };
}
