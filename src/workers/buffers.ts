/**
 * Buffers that are used again. A chunk's memory moves to a thread and back, and V8 does not see memory that arrives
 * from a thread as a reason to collect; thrown away after each chunk, it would grow to several times what is in use.
 */

/** Kept at most, in bytes; beyond that, what has lain longest is freed: sizes that nobody asks for do not fill it for good. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

export class Buffers {
  readonly #free = new Map<number, ArrayBuffer[]>();
  /** The same, the longest kept first. */
  readonly #kept = new Set<ArrayBuffer>();
  #keptBytes = 0;

  /** A buffer of exactly `bytes`, with anything in it: only what has been written may be read. */
  take(bytes: number): ArrayBuffer {
    const kept = this.#free.get(bytes)?.at(-1);
    if (!kept) return Buffer.allocUnsafeSlow(bytes).buffer;
    this.#forget(kept, same => same.pop());
    return kept;
  }

  /** Gives a buffer back that nobody looks at any more. */
  give(buffer: ArrayBufferLike): void {
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0) return; // a detached one among them
    const bytes = buffer.byteLength;
    if (bytes > MAX_KEPT_BYTES) return void buffer.transfer(0);
    const same = this.#free.get(bytes);
    if (same) same.push(buffer);
    else this.#free.set(bytes, [buffer]);
    this.#kept.add(buffer);
    this.#keptBytes += bytes;
    for (const oldest of this.#kept) {
      if (this.#keptBytes <= MAX_KEPT_BYTES) break;
      this.#forget(oldest, same => same.shift()); // the oldest of all is the oldest of its size
      oldest.transfer(0); // freed now: V8 would run a whole collection for each 64 MiB of such garbage
    }
  }

  #forget(buffer: ArrayBuffer, takeOut: (same: ArrayBuffer[]) => void): void {
    const { byteLength: bytes } = buffer;
    const same = this.#free.get(bytes) ?? [];
    takeOut(same);
    if (same.length === 0) this.#free.delete(bytes);
    this.#kept.delete(buffer);
    this.#keptBytes -= bytes;
  }
}

/** The bytes in a buffer that may be transferred: copied where they are a small part of one that is not theirs alone. */
export function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const isTheirs = buffer instanceof ArrayBuffer && byteLength >= buffer.byteLength / 2;
  return isTheirs ? new Uint8Array(buffer, bytes.byteOffset, byteLength) : new Uint8Array(bytes);
}
