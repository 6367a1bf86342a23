/** Counts and times every attempt on a bucket, for Prometheus and for its health. Labels are bucket names, never keys. */
import type { Registry } from "prom-client";
import { Counter, Histogram } from "prom-client";
import { BucketError } from "../core/errors.js";
import type { Bucket } from "../core/ports.js";
import type { Ending } from "./health.js";
import { HealthOfBuckets } from "./health.js";
import { wrap } from "./wrap.js";

/** The metrics of all buckets of a process; made once per registry. */
export class BucketMetrics {
  /** `outcome`: ok, a BucketFailure, aborted (the caller gave up), or error (a bug). */
  readonly attempts: Counter<"bucket" | "operation" | "outcome">;
  readonly seconds: Histogram<"bucket" | "operation">;
  readonly bytes: Counter<"bucket" | "operation">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.attempts = new Counter({
      name: "scattervault_bucket_attempts_total",
      help: "Attempts of bucket operations by outcome",
      labelNames: ["bucket", "operation", "outcome"],
      registers,
    });
    this.seconds = new Histogram({
      name: "scattervault_bucket_attempt_seconds",
      help: "Duration of bucket operation attempts",
      labelNames: ["bucket", "operation"],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.bytes = new Counter({
      name: "scattervault_bucket_bytes_total",
      help: "Object bytes put into and got from buckets",
      labelNames: ["bucket", "operation"],
      registers,
    });
  }
}

/** Measures every call: an attempt, if it lies inside retry. */
export function metered(inner: Bucket, metrics: BucketMetrics, health = new HealthOfBuckets()): Bucket {
  const bucket = inner.name;
  return wrap(inner, async ({ operation, maxBytes }, attempt, signal) => {
    const stop = metrics.seconds.startTimer({ bucket, operation });
    let outcome: Ending | "aborted" = "ok";
    try {
      const result = await attempt(signal);
      const bytes = result instanceof Uint8Array ? result.byteLength : operation === "put" ? maxBytes : 0;
      if (bytes > 0) metrics.bytes.inc({ bucket, operation }, bytes);
      return result;
    } catch (error) {
      outcome = outcomeOf(error, signal);
      throw error;
    } finally {
      const seconds = stop();
      if (outcome !== "aborted") health.note(bucket, operation, outcome, seconds * 1000);
      metrics.attempts.inc({ bucket, operation, outcome });
    }
  });
}

function outcomeOf(error: unknown, signal: AbortSignal | undefined): Ending | "aborted" {
  // A caller who gave the bucket so much time and no more has learnt something of it; one who left has not.
  if (signal?.aborted) return signal.reason?.name === "TimeoutError" ? "unavailable" : "aborted";
  return error instanceof BucketError ? error.failure : "error";
}
