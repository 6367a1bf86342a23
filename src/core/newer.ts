/**
 * What the buckets know and the database does not: the sweep asks before it ends anything by the clock alone. A database
 * that was restored from an old backup takes files for open uploads, has old expiries, and names objects that were moved
 * since. The objects of the lost time must outlive that: they are all there is to restore those files from.
 *
 * Whatever is put into buckets to be found here lies in more of them than the m that may be lost, so that up to m may be
 * silent. The clock alone decides about few files a day, so it may cost some listings.
 */
import { openBody, openHead } from "../format/manifest.js";
import { MAX_SIGNPOST_BYTES, openSignpost, signpostPrefix } from "../format/signpost.js";
import { FormatError } from "../format/errors.js";
import type { FileId } from "../format/id.js";
import type { BucketSet } from "./bucket-set.js";
import { BucketError, VaultError } from "./errors.js";
import { keysInSlots, manifestKeysIn, readManifest } from "./manifest-search.js";
import type { BucketId, BucketRecord, ObjectKey, ObjectRef } from "./model.js";
import type { Bucket } from "./ports.js";
import type { Expiries, OpenUpload, OverFile } from "./sweep-ports.js";

/** `silent`: too few buckets answered to say. `newer` of an upload may tell the hash of what it has become. */
export interface Finding {
  readonly is: "nothing" | "newer" | "silent";
  readonly hash?: string;
}

export interface NewerDeps {
  readonly buckets: BucketSet;
  readonly expiries: Expiries;
}

/** The questions of one sweep or drain: a bucket that has not answered once is not asked again. */
export class Newer {
  readonly #silent = new Set<BucketId>();
  /** Many objects of one upload may be lost. */
  readonly #uploads = new Map<FileId, Promise<Finding>>();

  constructor(
    private readonly deps: NewerDeps,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Whether an upload has become a file: whether it has a signpost. */
  ofUpload(upload: OpenUpload): Promise<Finding> {
    const finding = this.#uploads.get(upload.id) ?? this.#ofUpload(upload);
    this.#uploads.set(upload.id, finding);
    return finding;
  }

  #ofUpload({ id, parityChunks }: OpenUpload): Promise<Finding> {
    return this.#ask(parityChunks, async bucket => {
      const [objectKey] = await keysInSlots(bucket, slot => signpostPrefix(id, slot), this.signal);
      if (objectKey === undefined) return { is: "nothing" };
      const signpost = await bucket.get(objectKey, WHOLE_SIGNPOST, this.signal);
      const hash = signpost && openSignpost(id, objectKey, signpost);
      return { is: "newer", ...(hash !== null && { hash }) };
    });
  }

  /** Whether a file's terms may have changed: whether it has a manifest that this database has not written. */
  async ofFile({ hash, mapKey, parityChunks }: OverFile): Promise<Finding> {
    if (mapKey === null) return { is: "nothing" };
    return this.#ask(parityChunks, async (bucket, bucketId) => {
      const keys = await manifestKeysIn(bucket, hash, this.signal);
      const named = keys.map(objectKey => ({ bucketId, objectKey }));
      for (const { objectKey } of await this.deps.expiries.unknown(named)) {
        // Read only now: another sweep may have deleted it, and forgotten it, since it was listed.
        const object = await readManifest(bucket, objectKey, this.signal);
        if (object && isWhole({ hash, mapKey }, objectKey, object)) return { is: "newer" };
      }
      return { is: "nothing" };
    });
  }

  /** Whether an object has been replaced: whether it is gone. */
  async ofObject({ bucketId, objectKey }: ObjectRef): Promise<Finding> {
    const answer = await this.#answer(bucketId, async bucket => {
      const first = await bucket.get(objectKey, { first: 0, last: 0 }, this.signal);
      return { is: first === null ? "newer" : "nothing" };
    });
    return answer ?? { is: "silent" };
  }

  /** Asks every bucket in which something may lie. */
  async #ask(
    parityChunks: number,
    question: (bucket: Bucket, id: BucketId) => Promise<Finding>,
  ): Promise<Finding> {
    const asked = this.deps.buckets.all.filter(({ state }: BucketRecord) => state !== "disabled");
    const answers = await Promise.all(
      asked.map(({ id }) => this.#answer(id, bucket => question(bucket, id))),
    );
    const newer = answers.find(answer => answer?.is === "newer");
    if (newer) return newer;
    const silent = answers.filter(answer => answer === null).length;
    return { is: silent > parityChunks ? "silent" : "nothing" };
  }

  /** Null: the bucket does not answer, or cannot be reached from here. */
  async #answer(id: BucketId, question: (bucket: Bucket) => Promise<Finding>): Promise<Finding | null> {
    if (this.#silent.has(id)) return null;
    try {
      return await question(this.deps.buckets.port(id));
    } catch (error) {
      this.signal?.throwIfAborted();
      const isAway =
        error instanceof BucketError || (error instanceof VaultError && error.code === "FILE_UNAVAILABLE");
      if (!isAway) throw error;
      this.#silent.add(id);
      return null;
    }
  }
}

const WHOLE_SIGNPOST = { first: 0, last: MAX_SIGNPOST_BYTES - 1 };

/** A damaged copy says nothing: it may be one that this database has long replaced. */
function isWhole(
  { hash, mapKey }: { readonly hash: string; readonly mapKey: Uint8Array },
  objectKey: ObjectKey,
  object: Uint8Array,
): boolean {
  try {
    openBody(mapKey, objectKey, object, openHead(hash, objectKey, object).core);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
