/** The Sealer on the calling thread: for chunks so small that a trip to a worker costs more than the work. */
import type { SealedChunk, Sealer } from "../core/ports.js";
import { release } from "../format/bytes.js";
import { digestOf } from "../format/core.js";
import type { FloeMessage } from "../format/floe.js";
import { openSegments, sealSegments } from "../format/floe.js";

export class InlineSealer implements Sealer {
  buffer(bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(bytes);
  }

  async seal(
    message: FloeMessage,
    position: number,
    plain: Uint8Array,
    isLast: boolean,
  ): Promise<SealedChunk> {
    const bytes = sealSegments(message, position, plain, isLast);
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

  recycle(bytes: Uint8Array): void {
    release(bytes);
  }
}
