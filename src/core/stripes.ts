/**
 * The parity of the stripes that one append has open: summed while their data chunks are sealed, one after the other
 * within a stripe, and finished with the stripe's last data chunk. The memory of a sum is taken only where there is some:
 * whoever waited for it would hold up others while waiting for a client. Without, and for the chunks of an earlier append, what
 * is stored of the stripe is read back when it closes, and not before: an append that ends within a stripe reads nothing.
 */
import type { FloeMessage } from "../format/floe.js";
import { storedBytes } from "../format/layout.js";
import type { Budget, Share } from "./budget.js";
import type { BucketSet } from "./bucket-set.js";
import { VaultError } from "./errors.js";
import type { ChunkRecord, Upload } from "./model.js";
import type { ParityCoder, ParitySum, SealedChunk, Sealer } from "./sealing.js";
import { slotOf } from "./slot.js";
import { readWhole } from "./whole-object.js";

export interface StripesDeps {
  readonly sealer: Sealer & ParityCoder;
  readonly buckets: BucketSet;
  /** Memory for sums while clients send; nobody waits for it. */
  readonly parityBudget: Budget;
  /** Memory for what is read back; whoever holds some of it waits for no client, and for no more of it. */
  readonly rebuildBudget: Budget;
}

/** A data chunk on its way into its stripe. */
export interface PlainChunk {
  readonly chunkIndex: number;
  /** Of its first segment in the whole body. */
  readonly position: number;
  readonly plain: Uint8Array;
  /** The last of the file. */
  readonly isLast: boolean;
}

interface OpenStripe {
  /** Null: there was no memory for a sum. */
  readonly share: Share | null;
  /** Of what is read back, and of the parity that comes of it where there is no share. */
  readBack: Share | null;
  /** Made with the first chunk, whose size is that of the parity chunks. */
  sum: ParitySum | null;
  /** Data shards that are in the sum. */
  readonly summed: Set<number>;
  /** Rows-to-be of this append's data chunks, once they are stored. */
  readonly storing: Map<number, Promise<ChunkRecord>>;
  /** One at a time: the sum's memory goes from thread to thread. */
  queue: Promise<unknown>;
}

export class Stripes {
  readonly #open = new Map<number, OpenStripe>();

  /** `earlier`: the rows of the stripe that stands open where the append begins. */
  constructor(
    private readonly deps: StripesDeps,
    private readonly upload: Upload,
    private readonly message: FloeMessage,
    private readonly earlier: readonly ChunkRecord[],
  ) {}

  stripeOf(chunkIndex: number): number {
    return slotOf(chunkIndex, this.upload.parity).stripe;
  }

  shardOf(chunkIndex: number): number {
    return slotOf(chunkIndex, this.upload.parity).shard;
  }

  /** Seals the chunk, and adds it to its stripe's parity where that is summed. */
  async seal({ chunkIndex, position, plain, isLast }: PlainChunk): Promise<SealedChunk> {
    const stripe = this.#stripe(chunkIndex);
    if (!stripe?.share) return this.deps.sealer.seal(this.message, position, plain, isLast);
    return inTurn(stripe, async () => {
      const shard = this.shardOf(chunkIndex);
      // The first chunk of a stripe is its longest: shorter than C only where it is the last of the file.
      const { layout } = this.upload;
      stripe.sum ??= this.#newSum(shard === 0 ? storedBytes(layout, plain.length) : layout.chunkBytes);
      const into = { sum: stripe.sum, shard };
      const sealed = await this.deps.sealer.seal(this.message, position, plain, isLast, into);
      stripe.summed.add(shard);
      return sealed;
    });
  }

  /** Tells of a data chunk that is on its way to a bucket. */
  storing(chunkIndex: number, record: Promise<ChunkRecord>): void {
    this.#stripe(chunkIndex)?.storing.set(this.shardOf(chunkIndex), record);
  }

  /** Whether the chunk is the last data chunk of its stripe. */
  isClosing({ chunkIndex, isLast }: Pick<PlainChunk, "chunkIndex" | "isLast">): boolean {
    return isLast || this.shardOf(chunkIndex) === this.upload.parity.dataChunks - 1;
  }

  /**
   * The parity chunks of the stripe that `last` closes, in order; to be called once that chunk has been handed to
   * {@link seal} and {@link storing}. Throws FILE_UNAVAILABLE when a chunk cannot be read back.
   */
  async close({ chunkIndex }: Pick<PlainChunk, "chunkIndex">): Promise<readonly SealedChunk[]> {
    const stripe = this.#stripe(chunkIndex);
    if (!stripe) return [];
    const count = this.shardOf(chunkIndex) + 1;
    return inTurn(stripe, async () => {
      const missing = Array.from({ length: count }, (_, shard) => shard).filter(
        shard => !stripe.summed.has(shard),
      );
      if (missing.length > 0) stripe.readBack = await this.#memoryToReadBack(stripe);
      for (const shard of missing) {
        const row = await this.#rowOf(stripe, this.stripeOf(chunkIndex), shard);
        stripe.sum ??= this.#newSum(shard === 0 ? row.storedBytes : this.upload.layout.chunkBytes);
        await this.deps.sealer.add(stripe.sum, shard, await readWhole(this.deps.buckets, row));
      }
      // Memory that nothing was added to holds anything at all: it must never be stored.
      if (!stripe.sum || stripe.sum.isEmpty)
        throw new VaultError("INTERNAL", `upload ${this.upload.id}: an empty parity sum`);
      const parity = await this.deps.sealer.end(stripe.sum);
      if (stripe.share) stripe.readBack?.release(); // the parity has memory of its own
      return parity;
    });
  }

  /** To be called when the parity chunks of the stripe are stored, or will not be: nothing more is waited for with their memory. */
  closed(chunkIndex: number): void {
    const stripe = this.stripeOf(chunkIndex);
    letGo(this.#open.get(stripe));
    this.#open.delete(stripe);
  }

  /** Lets go of the memory of all stripes. Nothing may be under way. */
  release(): void {
    for (const stripe of this.#open.values()) letGo(stripe);
    this.#open.clear();
  }

  /** The chunk's stripe, opened if it is not; null where there is no parity. */
  #stripe(chunkIndex: number): OpenStripe | null {
    const { layout, parity } = this.upload;
    if (parity.parityChunks === 0) return null;
    const stripe = this.stripeOf(chunkIndex);
    const open = this.#open.get(stripe);
    if (open) return open;
    const bytes = parity.parityChunks * layout.chunkBytes;
    const { parityBudget } = this.deps;
    const opened: OpenStripe = {
      share: bytes <= parityBudget.total ? parityBudget.tryAcquire(bytes) : null,
      readBack: null,
      sum: null,
      summed: new Set(),
      storing: new Map(),
      queue: Promise.resolve(),
    };
    this.#open.set(stripe, opened);
    return opened;
  }

  #newSum(bytes: number): ParitySum {
    return this.deps.sealer.begin(this.upload.parity, bytes);
  }

  /** For one chunk at a time, and for the sum where that has none. */
  #memoryToReadBack({ share }: OpenStripe): Promise<Share> {
    const { layout, parity } = this.upload;
    const chunks = share ? 1 : 1 + parity.parityChunks;
    return this.deps.rebuildBudget.acquire(chunks * layout.chunkBytes);
  }

  async #rowOf(open: OpenStripe, stripe: number, shard: number): Promise<ChunkRecord> {
    const row =
      (await open.storing.get(shard)) ??
      this.earlier.find(one => one.stripe === stripe && one.shard === shard);
    if (row) return row;
    throw new VaultError("INTERNAL", `upload ${this.upload.id}: no row of shard ${stripe}/${shard}`);
  }
}

function letGo(stripe: OpenStripe | undefined): void {
  stripe?.share?.release();
  stripe?.readBack?.release();
}

/** After whatever was begun before, whether that ended well or not. */
function inTurn<T>(stripe: OpenStripe, work: () => Promise<T>): Promise<T> {
  const done = stripe.queue.then(work);
  stripe.queue = done.catch(() => {}); // told to whoever waits for it
  return done;
}
