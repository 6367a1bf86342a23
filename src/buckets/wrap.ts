/** What all wrappers have in common: a policy sees every call of the port in the same way. */
import type { ObjectKey } from "../core/model.js";
import type { Bucket } from "../core/ports.js";

/** What a read without a range may bring: the largest chunk there is (design §3). */
const WHOLE_OBJECT_BYTES = 64 * 1024 * 1024;

export interface BucketCall {
  readonly operation: "put" | "get" | "delete" | "list";
  readonly key: ObjectKey | null;
  /** Object bytes that move, at most. */
  readonly maxBytes: number;
}

/** Runs `attempt` never, once or several times, with the caller's signal or one of its own. */
export type Policy = <T>(
  call: BucketCall,
  attempt: (signal: AbortSignal | undefined) => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>;

/** A bucket every call of which goes through `policy` to `inner`. */
export function wrap(inner: Bucket, policy: Policy): Bucket {
  return {
    name: inner.name,
    put: (key, bytes, signal) =>
      policy(
        { operation: "put", key, maxBytes: bytes.byteLength },
        until => inner.put(key, bytes, until),
        signal,
      ),
    get: (key, range, signal) => {
      const maxBytes = range ? range.last - range.first + 1 : WHOLE_OBJECT_BYTES;
      return policy({ operation: "get", key, maxBytes }, until => inner.get(key, range, until), signal);
    },
    delete: (key, signal) =>
      policy({ operation: "delete", key, maxBytes: 0 }, until => inner.delete(key, until), signal),
    list: (range, signal) =>
      policy({ operation: "list", key: null, maxBytes: 0 }, until => inner.list(range, until), signal),
  };
}
