/** The ports of what is computed off the event loop: sealing chunks, and the parity of their stripes. */
import type { FloeMessage } from "../format/floe.js";
import type { Columns, StripeRead } from "../format/parity/rebuild.js";
import type { ParityProfile } from "./model.js";

/** A sealed chunk and its SHA-256. */
export interface SealedChunk {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

/** A SHA-256 of plain bytes, taken in the order in which they are given. */
export interface PlainHash {
  /** Takes the next bytes, and gives back what holds them now: what was given may be detached. */
  update(plain: Uint8Array): Promise<Uint8Array>;
  /** The digest of all that was given; ends the hash. */
  digest(): Promise<Uint8Array>;
  /** Forgets what was given, where no digest is wanted any more. May be called at any time. */
  release(): void;
}

/** `format/floe` off the event loop. Takes ownership of the buffers it is given (they are detached or used again). */
export interface Sealer {
  /** Memory of `bytes` to fill and give to {@link seal}; what is not written holds anything. */
  buffer(bytes: number): Uint8Array;
  /** With `into`, the sealed chunk is also added to its stripe's parity, as that `shard`. */
  seal(
    message: FloeMessage,
    position: number,
    plain: Uint8Array,
    isLast: boolean,
    into?: { readonly sum: ParitySum; readonly shard: number },
  ): Promise<SealedChunk>;
  /** Rejects with a FormatError when `stored` is not authentic. */
  open(message: FloeMessage, position: number, stored: Uint8Array, isLast: boolean): Promise<Uint8Array>;
  plainHash(): PlainHash;
  /** Takes the memory of what it sealed or opened back, once nobody reads it any more. */
  recycle(bytes: Uint8Array): void;
}

/** The parity chunks of one stripe, as far as they are summed. Their memory moves with every call that adds to them. */
export interface ParitySum {
  readonly profile: ParityProfile;
  chunks: readonly Uint8Array[];
  /** Nothing has been added yet: what the memory holds does not count. */
  isEmpty: boolean;
}

/** `format/parity` off the event loop. Takes ownership of the buffers it is given. One call at a time for each sum. */
export interface ParityCoder {
  /** A sum for parity chunks of `bytes` each. */
  begin(profile: ParityProfile, bytes: number): ParitySum;
  /** Adds a data chunk that was stored before. */
  add(sum: ParitySum, shard: number, stored: Uint8Array): Promise<void>;
  /** The m parity chunks, once every data chunk has been added. */
  end(sum: ParitySum): Promise<readonly SealedChunk[]>;
  /** The bytes of the shards in `missing`: `format/parity/rebuild`, with its errors. */
  rebuild(read: StripeRead, missing: readonly number[], columns?: Columns): Promise<readonly Uint8Array[]>;
}
