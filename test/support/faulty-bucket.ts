/**
 * A bucket that misbehaves on a schedule, around any other. Faults are planned ahead and met in the order of calls:
 *
 *     const faulty = new FaultyBucket(new MemoryBucket("a"));
 *     faulty.fail("put", { skip: 2, times: 1 });        // the third put
 *     faulty.fail("put", { isDone: true });             // every put is done, and its answer lost
 *     faulty.flip({ byteIndex: 7 });                    // every get has a bit wrong
 *     const release = faulty.stall("any");              // nothing answers until release() or the signal
 *     faulty.heal();
 *     faulty.each = work => work();                     // around every call, until it is set anew
 */
import type { BucketFailure } from "../../src/core/errors.js";
import { BucketError } from "../../src/core/errors.js";
import type { ObjectKey } from "../../src/core/model.js";
import type { Bucket, ByteRange, KeyRange } from "../../src/core/ports.js";

type Operation = "put" | "get" | "delete" | "list";

interface Schedule {
  /** Calls of the operation, from now, that go well first. */
  readonly skip?: number;
  /** Calls that meet the fault after those; default: all. */
  readonly times?: number;
}

interface Fault {
  readonly operation: Operation | "any";
  skip: number;
  times: number;
  readonly kind: "fail" | "fail-after" | "stall" | "flip";
  readonly failure: BucketFailure;
  readonly byteIndex: number;
  readonly released: Promise<void>;
}

export class FaultyBucket implements Bucket {
  readonly name: string;
  /** Calls so far, faulty ones included. */
  readonly calls: Record<Operation, number> = { put: 0, get: 0, delete: 0, list: 0 };
  each: <T>(work: () => Promise<T>) => Promise<T> = work => work();
  #faults: Fault[] = [];
  #releases: (() => void)[] = [];

  constructor(private readonly inner: Bucket) {
    this.name = inner.name;
  }

  /** Rejects; with `isDone`, only after the operation has been carried out. */
  fail(
    operation: Operation | "any",
    options: Schedule & { failure?: BucketFailure; isDone?: boolean } = {},
  ): void {
    const { failure = "unavailable", isDone = false } = options;
    this.#plan({ operation, kind: isDone ? "fail-after" : "fail", failure }, options);
  }

  /** Does not answer until the returned function is called (then it goes on), or the signal of the call is aborted. */
  stall(operation: Operation | "any", options: Schedule = {}): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#releases.push(resolve);
    this.#plan({ operation, kind: "stall", released: promise }, options);
    return resolve;
  }

  /** Turns one bit of what get() brings. */
  flip(options: Schedule & { byteIndex?: number } = {}): void {
    this.#plan({ operation: "get", kind: "flip", byteIndex: options.byteIndex ?? 0 }, options);
  }

  /** Forgets all faults; stalled calls go on. */
  heal(): void {
    this.#faults = [];
    for (const release of this.#releases.splice(0)) release();
  }

  put(key: ObjectKey, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.each(() => this.#meet("put", signal, () => this.inner.put(key, bytes, signal)));
  }

  get(key: ObjectKey, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array | null> {
    return this.each(() => this.#meet("get", signal, () => this.inner.get(key, range, signal)));
  }

  delete(key: ObjectKey, signal?: AbortSignal): Promise<void> {
    return this.each(() => this.#meet("delete", signal, () => this.inner.delete(key, signal)));
  }

  list(range?: KeyRange, signal?: AbortSignal): Promise<readonly ObjectKey[]> {
    return this.each(() => this.#meet("list", signal, () => this.inner.list(range, signal)));
  }

  #plan(
    fault: Pick<Fault, "operation" | "kind"> & Partial<Fault>,
    { skip = 0, times = Infinity }: Schedule,
  ): void {
    this.#faults.push({
      failure: "unavailable",
      byteIndex: 0,
      released: Promise.resolve(),
      ...fault,
      skip,
      times,
    });
  }

  async #meet<T>(operation: Operation, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    this.calls[operation]++;
    const fault = this.#next(operation);
    switch (fault?.kind) {
      case undefined:
        return await work();
      case "fail":
        throw this.#failure(operation, fault.failure);
      case "fail-after":
        await work();
        throw this.#failure(operation, fault.failure);
      case "stall":
        await Promise.race([fault.released, rejection(signal)]);
        return await work();
      case "flip":
        return flipped(await work(), fault.byteIndex);
    }
  }

  /** The first fault that is due for this call; the call counts against every fault it could have met. */
  #next(operation: Operation): Fault | undefined {
    let due: Fault | undefined;
    for (const fault of this.#faults) {
      if (fault.operation !== "any" && fault.operation !== operation) continue;
      if (fault.skip > 0) fault.skip--;
      else if (!due && fault.times > 0) {
        fault.times--;
        due = fault;
      }
    }
    return due;
  }

  #failure(operation: Operation, failure: BucketFailure): BucketError {
    return new BucketError(failure, `${this.name}: ${operation}: planned to fail`);
  }
}

function rejection(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function flipped<T>(result: T, byteIndex: number): T {
  if (!(result instanceof Uint8Array) || result.byteLength === 0) return result;
  const index = byteIndex % result.byteLength;
  result[index] = (result[index] ?? 0) ^ 1;
  return result;
}
