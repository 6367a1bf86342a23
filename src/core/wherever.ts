/**
 * Buckets as a recovery finds them: some are gone, some were restored under other names. Object keys are never used
 * twice, so an object that is not in the bucket where its row says it lies may be had from any other.
 */
import { BucketError } from "./errors.js";
import type { ObjectKey } from "./model.js";
import type { Bucket, ByteRange } from "./ports.js";

export class Wherever implements Bucket {
  /** The one of that name if it is there, and then whichever was right last; behind it the others. */
  #order: readonly Bucket[];

  constructor(
    readonly name: string,
    buckets: readonly Bucket[],
  ) {
    const isNamesake = (bucket: Bucket) => Number(bucket.name === name);
    this.#order = buckets.toSorted((a, b) => isNamesake(b) - isNamesake(a));
  }

  /** Null only where every bucket answered, and none has it. */
  async get(key: ObjectKey, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array | null> {
    let failure: unknown;
    for (const bucket of this.#order) {
      try {
        const bytes = await bucket.get(key, range, signal);
        if (!bytes) continue;
        if (bucket !== this.#order[0])
          this.#order = [bucket, ...this.#order.filter(other => other !== bucket)];
        return bytes;
      } catch (error) {
        signal?.throwIfAborted();
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    return null;
  }

  put(): Promise<void> {
    return refuse(this.name);
  }

  delete(): Promise<void> {
    return refuse(this.name);
  }

  list(): Promise<readonly ObjectKey[]> {
    return refuse(this.name);
  }
}

function refuse(name: string): Promise<never> {
  return Promise.reject(new BucketError("denied", `${name}: a recovery only reads`));
}
