/**
 * Putting the sealed chunks of one append into buckets. Every object gets a fresh random key and is recorded as
 * pending before its bytes leave, in batches, so that the hot path pays no transaction per chunk. A bucket that fails
 * is gone around: same bytes, another bucket, another key. Nothing here depends on the offset.
 */
import { randomBytes } from "node:crypto";
import { chunkCount } from "../format/layout.js";
import type { BucketSet } from "./bucket-set.js";
import { BucketError, VaultError } from "./errors.js";
import type { BucketId, BucketRecord, ObjectKey, ObjectRef, Upload } from "./model.js";
import type { Random } from "./placement.js";
import { choose, place } from "./placement.js";
import type { ChunkMap } from "./ports.js";
import type { Slot } from "./slot.js";
import { slotOf } from "./slot.js";
import type { Span } from "./span.js";

/** How many chunks one reservation is for at most: bounds what a crash leaves for the sweep. */
const MAX_RESERVED = 16;
/**
 * A reservation older than this is left to the sweep, in milliseconds: were it lost with the lease meanwhile, it could be swept
 * before the object is there, and then nobody would ever know of the object. Far below SWEEP_GRACE_SECONDS.
 */
const MAX_RESERVATION_MS = 300_000;
/** How many other buckets a chunk tries after the first has failed. */
export const MAX_DETOURS = 3;

export function newObjectKey(): ObjectKey {
  return randomBytes(16).toString("hex");
}

interface Reservation {
  readonly ref: ObjectRef;
  /** Before it was made, by `performance.now()`. */
  readonly at: number;
}

/** One writer's scattering of one upload. */
export class Scatter {
  /** Buckets that hold or are to hold a chunk, by stripe, one entry a chunk; stripes long past are dropped. */
  readonly #places = new Map<number, BucketId[]>();
  readonly #reserved = new Map<string, Reservation>();
  #nextToReserve: number;
  readonly #endChunkIndex: number;
  /** Of the file; infinite where nobody knows. */
  readonly #lastChunkIndex: number;
  /** How many chunks are reserved where nobody knows how many come. Doubles: few for a small file, few times for a large one. */
  #reserveCount = 1;
  #reserving: Promise<void> = Promise.resolve();

  constructor(
    private readonly buckets: BucketSet,
    private readonly chunkMap: ChunkMap,
    private readonly upload: Upload,
    { firstChunkIndex, endChunkIndex, earlier }: Span,
    private readonly random: Random,
  ) {
    this.#nextToReserve = firstChunkIndex;
    this.#endChunkIndex = endChunkIndex ?? 0;
    const { layout, length } = upload;
    this.#lastChunkIndex = length === null ? Infinity : chunkCount(layout, length) - 1;
    for (const { stripe, bucketId } of earlier) this.#placesOf(stripe).push(bucketId);
  }

  /** Stores one sealed chunk somewhere and says where. Chunks may be stored in any order and at the same time. */
  async store(slot: Slot, bytes: Uint8Array): Promise<ObjectRef> {
    const reservation = await this.#refFor(slot);
    let { ref } = reservation;
    const failed = new Set<BucketId>();
    // Reserved a while ago, perhaps: a bucket that is drained meanwhile gets no more, however slow the client is.
    if (!(await this.buckets.isCandidate(ref.bucketId)))
      ref = await this.#detour(slot, ref, failed, undefined);
    else if (performance.now() - reservation.at > MAX_RESERVATION_MS)
      ref = await this.#replace(slot, ref, failed, undefined);
    for (;;) {
      try {
        await this.buckets.port(ref.bucketId).put(ref.objectKey, bytes);
        return ref;
      } catch (error) {
        this.buckets.suspect(ref.bucketId, error);
        ref = await this.#detour(slot, ref, failed, error);
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
      await this.#reserve([ref]);
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

  async #refFor(slot: Slot): Promise<Reservation> {
    for (;;) {
      const reservation = this.#reserved.get(nameOf(slot));
      if (reservation) {
        this.#reserved.delete(nameOf(slot));
        return reservation;
      }
      // One reservation at a time; whoever waits for it finds its own object in it or reserves the next.
      this.#reserving = this.#reserving.then(() =>
        this.#reserved.has(nameOf(slot)) ? undefined : this.#reserveFor(slot),
      );
      await this.#reserving;
    }
  }

  /** Places and reserves the next chunks, and the parity of each stripe that they complete. */
  async #reserveFor(slot: Slot): Promise<void> {
    const { dataChunks, parityChunks } = this.upload.parity;
    const slots: Slot[] = [];
    const addParity = (stripe: number, from: number) => {
      for (let shard = from; shard < dataChunks + parityChunks; shard++) slots.push({ stripe, shard });
    };
    // That of a last stripe which nobody knew would be the last.
    if (slot.shard >= dataChunks) addParity(slot.stripe, slot.shard);
    else {
      for (const end = this.#nextToReserve + this.#countToReserve(); this.#nextToReserve < end; ) {
        const chunkIndex = this.#nextToReserve++;
        const { stripe, shard } = slotOf(chunkIndex, this.upload.parity);
        slots.push({ stripe, shard });
        if (shard === dataChunks - 1 || chunkIndex === this.#lastChunkIndex) addParity(stripe, dataChunks);
      }
    }
    const candidates = await this.buckets.candidates();
    const refs = slots.map(each => ({ each, ref: this.#place(candidates, each, undefined) }));
    const at = performance.now();
    await this.#reserve(refs.map(({ ref }) => ref));
    for (const { each, ref } of refs) this.#reserved.set(nameOf(each), { ref, at });
  }

  #countToReserve(): number {
    const announced = this.#endChunkIndex - this.#nextToReserve;
    if (announced > 0) return Math.min(announced, MAX_RESERVED);
    const count = this.#reserveCount;
    this.#reserveCount = Math.min(count * 2, MAX_RESERVED);
    return Math.max(1, Math.min(count, this.#lastChunkIndex + 1 - this.#nextToReserve));
  }

  /** Another bucket and key for a chunk that its bucket did not take. */
  async #detour(slot: Slot, ref: ObjectRef, failed: Set<BucketId>, error: unknown): Promise<ObjectRef> {
    failed.add(ref.bucketId);
    if (failed.size > MAX_DETOURS) throw noBucketLeft(error);
    return this.#replace(slot, ref, failed, error);
  }

  async #replace(
    slot: Slot,
    { bucketId }: ObjectRef,
    failed: ReadonlySet<BucketId>,
    error: unknown,
  ): Promise<ObjectRef> {
    const places = this.#placesOf(slot.stripe);
    places.splice(places.indexOf(bucketId), 1);
    const candidates = await this.buckets.candidates();
    const ref = this.#place(
      candidates.filter(({ id }) => !failed.has(id)),
      slot,
      error,
    );
    await this.#reserve([ref]);
    return ref;
  }

  /** `cause`: what kept the chunk from the bucket before. */
  #place(candidates: readonly BucketRecord[], { stripe }: Slot, cause: unknown): ObjectRef {
    const bucketIds = this.#placesOf(stripe);
    const places = { profile: this.upload.parity, bucketIds };
    const bucketId = choose(candidates, places, this.buckets.suspects, this.random);
    if (bucketId === undefined) throw noBucketLeft(cause);
    bucketIds.push(bucketId);
    return { bucketId, objectKey: newObjectKey() };
  }

  #reserve(refs: readonly ObjectRef[]): Promise<void> {
    return this.chunkMap.reserve(this.upload.id, this.upload.lease, refs);
  }

  #placesOf(stripe: number): BucketId[] {
    const known = this.#places.get(stripe);
    if (known) return known;
    const places: BucketId[] = [];
    this.#places.set(stripe, places);
    const oldest = stripe - 2 * MAX_RESERVED; // further back than any chunk still under way
    this.#places.delete(oldest);
    return places;
  }
}

function nameOf({ stripe, shard }: Slot): string {
  return `${stripe}/${shard}`;
}

/** The cause decides: no room is another thing for the caller than no answer. */
export function noBucketLeft(cause: unknown): VaultError {
  const isFull = cause instanceof BucketError && cause.failure === "full";
  return isFull
    ? new VaultError("STORAGE_FULL", "every bucket tried is full", { cause, retryAfterSeconds: 60 })
    : new VaultError("STORAGE_UNAVAILABLE", "no bucket takes the chunk", { cause, retryAfterSeconds: 10 });
}
