/** Sealer and ParityCoder on the calling thread: for chunks so small that a trip to a worker costs more than the work. */
import { createHash } from "node:crypto";
import type { ParityCoder, ParitySum, PlainHash, SealedChunk, Sealer } from "../core/sealing.js";
import { allocate, release } from "../format/bytes.js";
import { digestOf } from "../format/core.js";
import type { FloeMessage } from "../format/floe.js";
import { openSegments, sealSegments } from "../format/floe.js";
import type { ParityProfile } from "../format/parity/code.js";
import { accumulate } from "../format/parity/encode.js";
import type { Columns, StripeRead } from "../format/parity/rebuild.js";
import { rebuild } from "../format/parity/rebuild.js";

export class InlineSealer implements Sealer, ParityCoder {
  buffer(bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(bytes);
  }

  async seal(
    message: FloeMessage,
    position: number,
    plain: Uint8Array,
    isLast: boolean,
    into?: { readonly sum: ParitySum; readonly shard: number },
  ): Promise<SealedChunk> {
    const bytes = sealSegments(message, position, plain, isLast);
    if (into) addTo(into.sum, into.shard, bytes);
    return { bytes, digest: digestOf(bytes) };
  }

  async open(
    message: FloeMessage,
    position: number,
    stored: Uint8Array,
    isLast: boolean,
  ): Promise<Uint8Array> {
    const opened = openSegments(message, position, stored, isLast);
    release(stored);
    return opened;
  }

  plainHash(): PlainHash {
    const hash = createHash("sha256");
    return {
      update: async plain => {
        hash.update(plain);
        return plain;
      },
      digest: async () => hash.digest(),
      release() {},
    };
  }

  recycle(bytes: Uint8Array): void {
    release(bytes);
  }

  begin(profile: ParityProfile, bytes: number): ParitySum {
    const chunks = Array.from({ length: profile.parityChunks }, () => allocate(bytes));
    return { profile, chunks, isEmpty: true };
  }

  async add(sum: ParitySum, shard: number, stored: Uint8Array): Promise<void> {
    addTo(sum, shard, stored);
  }

  async end({ chunks }: ParitySum): Promise<readonly SealedChunk[]> {
    return chunks.map(bytes => ({ bytes, digest: digestOf(bytes) }));
  }

  async rebuild(
    read: StripeRead,
    missing: readonly number[],
    columns?: Columns,
  ): Promise<readonly Uint8Array[]> {
    return rebuild(read, missing, columns);
  }
}

function addTo(sum: ParitySum, shard: number, data: Uint8Array): void {
  if (sum.isEmpty) for (const chunk of sum.chunks) chunk.fill(0);
  sum.isEmpty = false;
  accumulate(sum.profile, shard, data, sum.chunks);
}
