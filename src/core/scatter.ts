/**
 * Putting the sealed chunks of one append into buckets. Every object gets a fresh random key and is recorded as
 * pending before its bytes leave, in batches, so that the hot path pays no transaction per chunk. A bucket that fails
 * is gone around: same bytes, another bucket, another key. Nothing here depends on the offset.
 */
import { randomBytes } from "node:crypto";
import type { BucketSet } from "./bucket-set.js";
import { BucketError, VaultError } from "./errors.js";
import type { BucketId, ObjectKey, ObjectRef, Upload } from "./model.js";
import type { Random } from "./placement.js";
import { place } from "./placement.js";
import type { ChunkMap } from "./ports.js";

/** How many objects one reservation names at most: bounds what a crash leaves for the sweep. */
const MAX_RESERVED = 16;
/** How many other buckets a chunk tries after the first has failed. */
export const MAX_DETOURS = 3;

export function newObjectKey(): ObjectKey {
  return randomBytes(16).toString("hex");
}

/** One writer's scattering of one upload. */
export class Scatter {
  /** Buckets used or reserved, by stripe; entries of stripes long past are dropped. */
  readonly #taken = new Map<number, Set<BucketId>>();
  readonly #reserved = new Map<number, ObjectRef>();
  #nextToReserve: number;
  #reserveCount: number;
  #reserving: Promise<void> = Promise.resolve();

  constructor(
    private readonly buckets: BucketSet,
    private readonly chunkMap: ChunkMap,
    private readonly upload: Upload,
    firstChunkIndex: number,
    private readonly random: Random,
  ) {
    this.#nextToReserve = firstChunkIndex;
    this.#reserveCount = 1; // doubles: a small file reserves one object, a large one few times
  }

  /**
   * Learns which buckets hold the chunks of the stripe that is open already, so that a resumed upload keeps them
   * different. To be called once, before {@link store}.
   */
  async open(): Promise<void> {
    const stripe = this.#stripeOf(this.#nextToReserve);
    const chunks = await this.chunkMap.chunks(this.upload.id, stripe, stripe);
    for (const chunk of chunks) this.#takenOf(stripe).add(chunk.bucketId);
  }

  /** Stores one sealed chunk somewhere and says where. Chunks may be stored in any order and at the same time. */
  async store(chunkIndex: number, bytes: Uint8Array): Promise<ObjectRef> {
    let ref = await this.#refFor(chunkIndex);
    // Reserved a while ago, perhaps: a bucket that is drained meanwhile gets no more, however slow the client is.
    if (!(await this.buckets.isCandidate(ref.bucketId))) ref = await this.#detour(chunkIndex, undefined, 0);
    for (let detours = 0; ; detours++) {
      try {
        await this.buckets.port(ref.bucketId).put(ref.objectKey, bytes);
        return ref;
      } catch (error) {
        this.buckets.suspect(ref.bucketId, error);
        ref = await this.#detour(chunkIndex, error, detours);
      }
    }
  }

  /** Stores an object that belongs to no stripe: a tail. */
  async storeLoose(bytes: Uint8Array): Promise<ObjectRef> {
    const tried = new Set<BucketId>();
    for (;;) {
      const [bucketId] = place(await this.buckets.candidates(), 1, tried, this.buckets.suspects, this.random);
      if (bucketId === undefined) throw noBucketLeft(undefined);
      const ref = { bucketId, objectKey: newObjectKey() };
      await this.chunkMap.reserve(this.upload.id, this.upload.lease, [ref]);
      try {
        await this.buckets.port(bucketId).put(ref.objectKey, bytes);
        return ref;
      } catch (error) {
        this.buckets.suspect(bucketId, error);
        tried.add(bucketId);
        if (tried.size > MAX_DETOURS) throw noBucketLeft(error);
      }
    }
  }

  async #refFor(chunkIndex: number): Promise<ObjectRef> {
    for (;;) {
      const ref = this.#reserved.get(chunkIndex);
      if (ref) {
        this.#reserved.delete(chunkIndex);
        return ref;
      }
      // One reservation at a time; whoever waits for it finds its own object in it or reserves the next.
      this.#reserving = this.#reserving.then(() =>
        chunkIndex < this.#nextToReserve ? undefined : this.#reserveMore(),
      );
      await this.#reserving;
    }
  }

  async #reserveMore(): Promise<void> {
    const candidates = await this.buckets.candidates();
    const refs: [number, ObjectRef][] = [];
    for (let i = 0; i < this.#reserveCount; i++) {
      const chunkIndex = this.#nextToReserve + i;
      const taken = this.#takenOf(this.#stripeOf(chunkIndex));
      const [bucketId] = place(candidates, 1, taken, this.buckets.suspects, this.random);
      if (bucketId === undefined) throw noBucketLeft(undefined);
      taken.add(bucketId);
      refs.push([chunkIndex, { bucketId, objectKey: newObjectKey() }]);
    }
    await this.chunkMap.reserve(
      this.upload.id,
      this.upload.lease,
      refs.map(([, ref]) => ref),
    );
    for (const [chunkIndex, ref] of refs) this.#reserved.set(chunkIndex, ref);
    this.#nextToReserve += refs.length;
    this.#reserveCount = Math.min(this.#reserveCount * 2, MAX_RESERVED);
  }

  async #detour(chunkIndex: number, error: unknown, detours: number): Promise<ObjectRef> {
    if (detours >= MAX_DETOURS) throw noBucketLeft(error);
    const taken = this.#takenOf(this.#stripeOf(chunkIndex));
    const [bucketId] = place(await this.buckets.candidates(), 1, taken, this.buckets.suspects, this.random);
    if (bucketId === undefined) throw noBucketLeft(error);
    taken.add(bucketId);
    const ref = { bucketId, objectKey: newObjectKey() };
    await this.chunkMap.reserve(this.upload.id, this.upload.lease, [ref]);
    return ref;
  }

  #stripeOf(chunkIndex: number): number {
    return Math.floor(chunkIndex / this.upload.parity.dataChunks);
  }

  #takenOf(stripe: number): Set<BucketId> {
    const known = this.#taken.get(stripe);
    if (known) return known;
    const taken = new Set<BucketId>();
    this.#taken.set(stripe, taken);
    const oldest = stripe - 2 * MAX_RESERVED; // further back than any chunk still under way
    this.#taken.delete(oldest);
    return taken;
  }
}

/** The cause decides: no room is another thing for the caller than no answer. */
export function noBucketLeft(cause: unknown): VaultError {
  const isFull = cause instanceof BucketError && cause.failure === "full";
  return isFull
    ? new VaultError("STORAGE_FULL", "every bucket tried is full", { cause, retryAfterSeconds: 60 })
    : new VaultError("STORAGE_UNAVAILABLE", "no bucket takes the chunk", { cause, retryAfterSeconds: 10 });
}
