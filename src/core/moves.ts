/** The ports of moving stored objects from bucket to bucket: what draining finds, and what one move makes durable. */
import type { FileId } from "../format/id.js";
import type { BucketId, ChunkRecord, ObjectRef, Tail } from "./model.js";
import type { OpenUpload } from "./sweep-ports.js";

/** A chunk where it lies now. */
export interface PlacedChunk extends ChunkRecord {
  readonly fileId: FileId;
}

/** A chunk that was found in a bucket. */
export interface ListedChunk extends PlacedChunk {
  /** The upload that it is of, unless that is known to have become a file. */
  readonly upload: OpenUpload | null;
}

/** The tail of an open upload where it lies now. */
export interface PlacedTail extends Tail {
  readonly uploadId: FileId;
}

/** What lies in one bucket and can be moved now. */
export interface BucketListing {
  /**
   * Up to `limit` chunks in the order of file, stripe and shard, after the given ones. Left out are those of a stripe that an
   * upload is still filling, unless nobody has written to it for `idleSeconds`: its writer has chosen buckets for the rest.
   */
  chunks(
    bucketId: BucketId,
    after: ChunkPlace,
    limit: number,
    idleSeconds: number,
  ): Promise<readonly ListedChunk[]>;
  tails(bucketId: BucketId, limit: number): Promise<readonly PlacedTail[]>;
  /**
   * Ends the lease of uploads that nobody has written to for `idleSeconds` and that have objects reserved in the bucket, so
   * that nobody can put there any more and the sweep may take what was put. The next writer takes a new lease as always.
   */
  endReservations(bucketId: BucketId, idleSeconds: number): Promise<void>;
}

/** From one object to another of equal bytes. */
export interface Move<Placed extends ObjectRef> {
  readonly from: Placed;
  readonly to: ObjectRef;
  /** The old object is left alone for this long, for those who read its row before. */
  readonly keepSeconds: number;
  /** How long an upload must be left alone before its lease may be ended (see {@link BucketListing.chunks}). */
  readonly idleSeconds: number;
}

/** Which chunk, wherever it lies. */
export type ChunkPlace = Pick<PlacedChunk, "fileId" | "stripe" | "shard">;

/** From one chunk's object to another. */
export interface ChunkMove extends Move<PlacedChunk> {
  /** How many chunks of the stripe may lie in the bucket that it moves to, itself among them. */
  readonly mostInBucket: number;
}

/** One move's steps in the database. */
export interface Moves {
  /**
   * Records an object as pending before its bytes are put. After `holdSeconds` the sweep may find it dead, if the `chunk`
   * that it was for still has another.
   */
  reserve(object: ObjectRef, holdSeconds: number, chunk?: ChunkPlace): Promise<void>;
  /**
   * Compare-and-swap, all or nothing: if the row still names `from`, and `to` is still reserved, the row names `to`, `from`
   * is dead, and `to` is pending no more. False, and nothing is changed: the row has moved on or is gone, the reservation is
   * over, too many chunks of the stripe lie in that bucket already, or a writer is filling the stripe.
   */
  swapChunk(move: ChunkMove): Promise<boolean>;
  swapTail(move: Move<PlacedTail>): Promise<boolean>;
}
