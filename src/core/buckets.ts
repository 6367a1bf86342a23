/** The buckets as an administrator steers them: which take new chunks, how many, and which are being emptied. */
import type { Auditor } from "./auditor.js";
import type { BucketSet } from "./bucket-set.js";
import { VaultError } from "./errors.js";
import type { BucketId, BucketRecord, Caller } from "./model.js";
import type { BucketChange, BucketContents, BucketDirectory, BucketStep, Log } from "./ports.js";

/** Ten thousand times the share of another bucket: more would be all of it. */
const MAX_WEIGHT = 10_000;

interface BucketsDeps {
  readonly set: BucketSet;
  readonly directory: BucketDirectory;
  readonly audit: Auditor;
  readonly log: Log;
}

export class Buckets {
  constructor(private readonly deps: BucketsDeps) {}

  list(): Promise<readonly BucketRecord[]> {
    return this.deps.directory.list();
  }

  /**
   * Sets state or weight, here at once and on every replica within seconds (bucket-set.ts). Throws NOT_FOUND, BAD_REQUEST
   * for a weight out of bounds, and BUCKET_IN_USE where a bucket that is to be disabled still holds something, or no other
   * would take new chunks. `caller` is null for the command line.
   */
  async change(id: BucketId, change: BucketChange, caller: Caller | null = null): Promise<BucketRecord> {
    checkWeight(change.weight);
    const { audit, directory, set, log } = this.deps;
    const changed = await audit.attempt({ action: "BUCKET_CHANGED", caller, bucketId: id }, async event => {
      const after = await directory.update(id, change, step => this.#check(step), event);
      if (!after) throw new VaultError("NOT_FOUND", `no bucket ${id}`, { field: "id" });
      return after;
    });
    await set.refresh();
    log.info("bucket changed", { bucketId: id, state: changed.state, weight: changed.weight });
    return changed;
  }

  #check({ before, after, others, contents }: BucketStep): void {
    if (after.state === "disabled" && isInUse(contents))
      throw inUse(before, "state", "Chunks, manifests, tails or writers still need it: drain it first.");
    if (this.#takesChunks(before) && !this.#takesChunks(after) && !others.some(b => this.#takesChunks(b)))
      throw inUse(before, "state", "No other bucket takes new chunks.");
  }

  #takesChunks(bucket: BucketRecord): boolean {
    return bucket.state === "active" && bucket.weight > 0 && this.deps.set.isConfigured(bucket);
  }
}

/** Whether anything that lies there may still be asked for. */
export function isInUse({ chunkCount, manifestCount, tailCount, reservedCount }: BucketContents): boolean {
  return chunkCount + manifestCount + tailCount + reservedCount > 0;
}

function checkWeight(weight: number | undefined): void {
  if (weight === undefined || (Number.isInteger(weight) && weight >= 0 && weight <= MAX_WEIGHT)) return;
  const facts = { reason: `A weight is a whole number from 0 to ${MAX_WEIGHT}.` };
  throw new VaultError("BAD_REQUEST", `weight ${weight}`, { field: "weight", facts });
}

function inUse(bucket: BucketRecord, field: string, reason: string): VaultError {
  return new VaultError("BUCKET_IN_USE", `bucket ${bucket.name}: ${reason}`, {
    field,
    facts: { reason },
  });
}
