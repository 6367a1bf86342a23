/**
 * Removing what is expired or provably dead: expired uploads and files, then the objects that nothing names any more.
 * Every step can be repeated after a crash and run on several replicas at once. It never asks a bucket what it holds:
 * an object that the database does not know is left alone (a restored backup must not destroy files).
 */
import { atOnce } from "./at-once.js";
import { eventOf } from "./auditor.js";
import type { BucketSet } from "./bucket-set.js";
import type { BucketId, ObjectRef } from "./model.js";
import type { DeadObjects, FileStore, Log, UploadStore } from "./ports.js";

const BATCH = 500;
/** Objects deleted at once. */
const PARALLEL_DELETES = 16;

export interface SweepDeps {
  readonly buckets: BucketSet;
  readonly dead: DeadObjects;
  readonly uploads: UploadStore;
  readonly files: FileStore;
  readonly log: Log;
  /**
   * How old a pending object must be, in seconds, before it can be dead: longer than any put may take, so that a
   * writer that lost its lease cannot store an object after it was swept.
   */
  readonly graceSeconds: number;
}

export interface Swept {
  readonly uploads: number;
  readonly files: number;
  readonly objects: number;
  /** Objects of buckets that did not answer; the next sweep tries again. */
  readonly objectsLeft: number;
}

/** One whole pass. */
export async function sweep(deps: SweepDeps, signal?: AbortSignal): Promise<Swept> {
  const { uploads, files } = await sweepExpired(deps, signal);
  let objects = 0;
  let objectsLeft = 0;
  const failing = new Set<BucketId>();
  for (;;) {
    signal?.throwIfAborted();
    const claimed = await deps.dead.claim(BATCH, deps.graceSeconds);
    if (claimed.length === 0) break;
    const deleted = await deleteAll(deps, claimed, failing);
    await deps.dead.forget(deleted);
    objects += deleted.length;
    objectsLeft += claimed.length - deleted.length;
  }
  const swept = { uploads, files, objects, objectsLeft };
  if (uploads + files + objects + objectsLeft > 0) deps.log.info("swept", swept);
  return swept;
}

async function sweepExpired(
  deps: SweepDeps,
  signal?: AbortSignal,
): Promise<{ uploads: number; files: number }> {
  const swept = { uploads: 0, files: 0 };
  for (;;) {
    signal?.throwIfAborted();
    const expired = await deps.dead.expired(BATCH);
    const before = swept.uploads + swept.files;
    for (const fileId of expired.uploads) {
      const event = eventOf({ action: "UPLOAD_ABANDONED", caller: null, fileId });
      if (await deps.uploads.end(fileId, "expired", { ...event, code: "UPLOAD_EXPIRED" })) swept.uploads++;
    }
    for (const fileId of expired.files) {
      const event = eventOf({ action: "FILE_EXPIRED", caller: null, fileId });
      if (await deps.files.shred(fileId, "over", event)) swept.files++;
    }
    if (swept.uploads + swept.files === before) return swept; // nothing left, or another replica was faster
  }
}

/**
 * Those that were deleted. A bucket that did not answer joins `failing` and is left alone from then on: all its objects
 * would wait for its deadline, and those of other buckets behind them.
 */
async function deleteAll(
  { buckets, log }: SweepDeps,
  objects: readonly ObjectRef[],
  failing: Set<BucketId>,
): Promise<ObjectRef[]> {
  const deleted: ObjectRef[] = [];
  const waiting = objects.values();
  await atOnce(PARALLEL_DELETES, async () => {
    for (const ref of waiting) {
      if (failing.has(ref.bucketId)) continue;
      try {
        await buckets.port(ref.bucketId).delete(ref.objectKey);
        deleted.push(ref);
      } catch (error) {
        if (failing.has(ref.bucketId)) continue;
        failing.add(ref.bucketId);
        log.warn("objects of a bucket could not be deleted, the next sweep tries again", {
          bucketId: ref.bucketId,
          reason: String(error),
        });
      }
    }
  });
  return deleted;
}
