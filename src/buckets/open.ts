/**
 * Opens the configured buckets and wraps each in the same policy. From the outside in:
 *
 *     retry → limit → metered → deadline → (threads →) adapter
 *
 * A pause between tries holds no place in the queue; waiting for a place does not count against the deadline, so a
 * busy bucket is not taken for a broken one; and the meter sees every attempt, those that ended at the deadline too.
 * A folder has a second limit within the deadline: a system call that hangs keeps its thread, and all folders share those.
 */
import type { Registry } from "prom-client";
import { BucketError } from "../core/errors.js";
import type { Bucket, BucketSize } from "../core/ports.js";
import { untilAborted } from "./abort.js";
import type { DeadlineOptions } from "./deadline.js";
import { withDeadline } from "./deadline.js";
import { DiskBucket } from "./disk.js";
import { HealthOfBuckets } from "./health.js";
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

/** Threads that all folders may take, of 16 (UV_THREADPOOL_SIZE in scripts/run.mjs): hashing and DNS want some, too. */
const DISK_THREADS = 12;
/** Those that one may take at most. */
const MAX_THREADS_PER_FOLDER = 4;

/** Worst case before core goes around a bucket: three attempts of ten seconds. 250 ms per MiB is 4 MiB/s. */
export const DEFAULT_POLICY: BucketPolicy = {
  retry: { attempts: 3, baseDelayMs: 200, maxDelayMs: 5_000 },
  deadline: { baseMs: 10_000, perMiBMs: 250 },
  maxConcurrent: 16,
};

export interface OpenBucketsOptions {
  readonly registry: Registry;
  /** Learns how each attempt ended, the opening among them. */
  readonly health?: HealthOfBuckets;
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
  readonly size: BucketSize;
  /** Why the bucket is not well at the moment. It is there all the same: one bucket away must not stop a start. */
  readonly problem: BucketError | null;
}

/** Opens all buckets at once. Rejects only for mistakes of the program. */
export async function openBuckets(
  specs: readonly BucketSpec[],
  options: OpenBucketsOptions,
): Promise<OpenedBucket[]> {
  const {
    gcsEndpoint,
    policy = DEFAULT_POLICY,
    isReadOnly = false,
    health = new HealthOfBuckets(),
  } = options;
  const metrics = new BucketMetrics(options.registry);
  // One client, made when it is needed: its token serves all buckets.
  let gcs: Promise<GcsClient> | undefined;
  const gcsClient = () => {
    gcs ??= openGcsClient(gcsEndpoint);
    return gcs;
  };
  const folders = specs.filter(({ provider }) => provider === "disk").length;
  const share = Math.floor(DISK_THREADS / Math.max(1, folders));
  const threadsPerFolder = Math.max(1, Math.min(share, MAX_THREADS_PER_FOLDER));
  return await Promise.all(
    specs.map(async spec => {
      const began = performance.now();
      const { adapter, ...opened } =
        spec.provider === "gcs"
          ? await openGcs(spec, await gcsClient(), policy.deadline.baseMs)
          : await openDisk(spec, isReadOnly, policy.deadline.baseMs);
      health.note(spec.name, "open", opened.problem?.failure ?? "ok", performance.now() - began);
      const threads = spec.provider === "disk" ? threadsPerFolder : null;
      return { ...opened, bucket: withPolicy(adapter, metrics, health, policy, threads) };
    }),
  );
}

function withPolicy(
  adapter: Bucket,
  metrics: BucketMetrics,
  health: HealthOfBuckets,
  policy: BucketPolicy,
  threads: number | null,
): Bucket {
  const most = Math.min(policy.maxConcurrent, threads ?? Infinity);
  const inner = threads === null ? adapter : limited(adapter, most);
  const attempt = metered(withDeadline(inner, policy.deadline), metrics, health);
  return retrying(limited(attempt, most), policy.retry);
}

type Adapted = Omit<OpenedBucket, "bucket"> & { adapter: Bucket };

async function openDisk(spec: BucketSpec, isReadOnly: boolean, timeoutMs: number): Promise<Adapted> {
  const adapter = new DiskBucket(spec.name, spec.target);
  if (isReadOnly) return { spec, adapter, size: adapter, problem: null };
  try {
    await inTime(spec, timeoutMs, (signal, onAnswer) => untilAborted(adapter.open(onAnswer), signal));
    return { spec, adapter, size: adapter, problem: null };
  } catch (error) {
    return { spec, adapter, size: adapter, problem: asProblem(error) };
  }
}

/** Loaded only where there is such a bucket: Google's library takes 30 MB of memory. */
async function openGcsClient(endpoint: string | undefined): Promise<GcsClient> {
  const { GcsClient } = await import("./gcs-client.js");
  return endpoint === undefined ? GcsClient.google() : GcsClient.emulator(endpoint);
}

/** Google knows no size of a bucket. */
const BOUNDLESS: BucketSize = { capacityBytes: async () => null };

async function openGcs(spec: BucketSpec, client: GcsClient, timeoutMs: number): Promise<Adapted> {
  const { GcsBucket } = await import("./gcs.js");
  const adapter = new GcsBucket(client, spec.target);
  // The bucket is asked even if the region is configured: the operator learns at the start that it is not there.
  try {
    const location = await inTime(spec, timeoutMs, signal => client.location(spec.target, signal));
    return { spec: { ...spec, region: spec.region ?? location }, adapter, size: BOUNDLESS, problem: null };
  } catch (error) {
    return { spec, adapter, size: BOUNDLESS, problem: asProblem(error) };
  }
}

/** Gives up when the bucket has not answered for so long. What it was asked goes on: a folder may yet become whole. */
async function inTime<T>(
  { name }: BucketSpec,
  timeoutMs: number,
  open: (signal: AbortSignal, onAnswer: () => void) => Promise<T>,
): Promise<T> {
  const late = new BucketError("unavailable", `${name}: opening: no answer in ${timeoutMs} ms`);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(late), timeoutMs);
  try {
    return await open(deadline.signal, () => {
      if (!deadline.signal.aborted) timer.refresh();
    });
  } finally {
    clearTimeout(timer);
  }
}

function asProblem(error: unknown): BucketError {
  if (error instanceof BucketError) return error;
  throw error;
}
