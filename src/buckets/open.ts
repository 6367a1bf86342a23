/**
 * Opens the configured buckets and wraps each in the same policy. From the outside in:
 *
 *     retry → limit → metered → deadline → adapter
 *
 * A pause between tries holds no place in the queue; waiting for a place does not count against the deadline, so a
 * busy bucket is not taken for a broken one; and the meter sees every attempt, those that ended at the deadline too.
 */
import type { Registry } from "prom-client";
import { BucketError } from "../core/errors.js";
import type { Bucket } from "../core/ports.js";
import type { DeadlineOptions } from "./deadline.js";
import { withDeadline } from "./deadline.js";
import { DiskBucket } from "./disk.js";
import type { GcsClient } from "./gcs-client.js";
import { limited } from "./limit.js";
import { BucketMetrics, metered } from "./metered.js";
import type { RetryOptions } from "./retry.js";
import { retrying } from "./retry.js";
import type { BucketSpec } from "./spec.js";

export interface BucketPolicy {
  readonly retry: RetryOptions;
  readonly deadline: DeadlineOptions;
  /** Operations under way on one bucket at once. */
  readonly maxConcurrent: number;
}

/** Worst case before core goes around a bucket: three attempts of ten seconds. 250 ms per MiB is 4 MiB/s. */
export const DEFAULT_POLICY: BucketPolicy = {
  retry: { attempts: 3, baseDelayMs: 200, maxDelayMs: 5_000 },
  deadline: { baseMs: 10_000, perMiBMs: 250 },
  maxConcurrent: 16,
};

export interface OpenBucketsOptions {
  readonly registry: Registry;
  /** Where an emulator of Google Cloud Storage listens (`GCS_ENDPOINT`). Gets no credentials. */
  readonly gcsEndpoint?: string;
  readonly policy?: BucketPolicy;
  /** True: a bucket that is not there is not made. */
  readonly isReadOnly?: boolean;
}

export interface OpenedBucket {
  /** With the region the provider told, where the operator named none. */
  readonly spec: BucketSpec;
  readonly bucket: Bucket;
  /** Why the bucket is not well at the moment. It is there all the same: one bucket away must not stop a start. */
  readonly problem: BucketError | null;
}

/** Opens all buckets at once. Rejects only for mistakes of the program. */
export async function openBuckets(
  specs: readonly BucketSpec[],
  options: OpenBucketsOptions,
): Promise<OpenedBucket[]> {
  const { gcsEndpoint, policy = DEFAULT_POLICY, isReadOnly = false } = options;
  const metrics = new BucketMetrics(options.registry);
  // One client, made when it is needed: its token serves all buckets.
  let gcs: Promise<GcsClient> | undefined;
  const gcsClient = () => {
    gcs ??= openGcsClient(gcsEndpoint);
    return gcs;
  };
  return await Promise.all(
    specs.map(async spec => {
      const opened =
        spec.provider === "gcs"
          ? await openGcs(spec, await gcsClient(), policy.deadline.baseMs)
          : await openDisk(spec, isReadOnly);
      return { ...opened, bucket: withPolicy(opened.bucket, metrics, policy) };
    }),
  );
}

function withPolicy(adapter: Bucket, metrics: BucketMetrics, policy: BucketPolicy): Bucket {
  const attempt = metered(withDeadline(adapter, policy.deadline), metrics);
  return retrying(limited(attempt, policy.maxConcurrent), policy.retry);
}

async function openDisk(spec: BucketSpec, isReadOnly: boolean): Promise<OpenedBucket> {
  if (isReadOnly) return { spec, bucket: new DiskBucket(spec.name, spec.target), problem: null };
  try {
    return { spec, bucket: await DiskBucket.open(spec.name, spec.target), problem: null };
  } catch (error) {
    return { spec, bucket: new DiskBucket(spec.name, spec.target), problem: asProblem(error) };
  }
}

/** Loaded only where there is such a bucket: Google's library takes 30 MB of memory. */
async function openGcsClient(endpoint: string | undefined): Promise<GcsClient> {
  const { GcsClient } = await import("./gcs-client.js");
  return endpoint === undefined ? GcsClient.google() : GcsClient.emulator(endpoint);
}

async function openGcs(spec: BucketSpec, client: GcsClient, timeoutMs: number): Promise<OpenedBucket> {
  const { GcsBucket } = await import("./gcs.js");
  const bucket = new GcsBucket(client, spec.target);
  // The bucket is asked even if the region is configured: the operator learns at the start that it is not there.
  const late = new BucketError("unavailable", `${spec.name}: metadata: no answer in ${timeoutMs} ms`);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(late), timeoutMs);
  try {
    const location = await client.location(spec.target, deadline.signal);
    return { spec: { ...spec, region: spec.region ?? location }, bucket, problem: null };
  } catch (error) {
    return { spec, bucket, problem: asProblem(error) };
  } finally {
    clearTimeout(timer);
  }
}

function asProblem(error: unknown): BucketError {
  if (error instanceof BucketError) return error;
  throw error;
}
