/** A bucket in this process's memory, for tests and simulations: the whole contract, and no durability. */
import { BucketError } from "../core/errors.js";
import type { ObjectKey } from "../core/model.js";
import type { Bucket, ByteRange, KeyRange } from "../core/ports.js";
import { assertKeyRange, assertObjectKey, assertRange, isInRange, PAGE_KEYS } from "./object-key.js";

export class MemoryBucket implements Bucket {
  readonly #objects = new Map<ObjectKey, Uint8Array>();

  constructor(readonly name: string) {}

  async put(key: ObjectKey, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    signal?.throwIfAborted();
    const existing = this.#objects.get(key);
    if (existing && Buffer.compare(existing, bytes) !== 0) {
      throw new BucketError("conflict", `${this.name}: put ${key}: holds other bytes`);
    }
    // Not slice(): a Buffer's is a view, and the caller may go on to change or detach its bytes.
    if (!existing) this.#objects.set(key, new Uint8Array(bytes));
  }

  async get(key: ObjectKey, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array | null> {
    assertObjectKey(key);
    assertRange(range);
    signal?.throwIfAborted();
    const object = this.#objects.get(key);
    if (!object) return null;
    return range ? object.slice(range.first, range.last + 1) : object.slice();
  }

  async delete(key: ObjectKey, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    signal?.throwIfAborted();
    this.#objects.delete(key);
  }

  async list(range: KeyRange = {}, signal?: AbortSignal): Promise<readonly ObjectKey[]> {
    assertKeyRange(range);
    signal?.throwIfAborted();
    const keys = [...this.#objects.keys()].filter(key => isInRange(key, range));
    return keys.sort().slice(0, PAGE_KEYS);
  }
}
