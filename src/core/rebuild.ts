/**
 * The database anew, from the buckets alone, for the operator who kept `MAP_KEY`: every object is looked at, manifests show
 * themselves by their mark, and the newest of each file becomes its rows. Takes no password, and opens no file. Nothing
 * in a bucket is changed or deleted. One file is one transaction and the newest revision wins, in whatever order they
 * come: a rebuild that was stopped is simply begun again.
 */
import { FormatError } from "../format/errors.js";
import { digestOf } from "../format/core.js";
import { hasMark, MARK_BYTES } from "../format/manifest-key.js";
import { fileOfSignpost, isSignpost, MAX_SIGNPOST_BYTES, openSignpost } from "../format/signpost.js";
import { BucketNumbers } from "./bucket-numbers.js";
import { BucketError, VaultError } from "./errors.js";
import { readManifest } from "./manifest-search.js";
import type { BucketId, ObjectKey } from "./model.js";
import type { Bucket, BucketDirectory, Log } from "./ports.js";
import type { Leftovers, RebuildStore, RestoredSignpost } from "./rebuild-ports.js";
import { RestorableFile } from "./restorable-file.js";

/** Objects of one bucket that are looked at, at once. */
const PARALLEL_READS = 16;
/** Damaged manifests that are kept for the report. */
const MAX_DAMAGED = 1_000;

export interface RebuildDeps {
  readonly buckets: readonly Bucket[];
  readonly directory: BucketDirectory;
  readonly store: RebuildStore;
  readonly operatorKey: Uint8Array;
  readonly log: Log;
  /** Objects looked at, of those listed so far. */
  readonly onProgress: (progress: { looked: number; listed: number }) => void;
}

export interface DamagedManifest {
  readonly bucket: string;
  readonly objectKey: ObjectKey;
  /** Null where not even the escrow opens. */
  readonly hash: string | null;
  /** Whether another manifest gave the file back. */
  readonly isRestored: boolean;
}

export interface Rebuilt {
  readonly files: number;
  readonly objects: number;
  /** Manifests beside the newest of their file. */
  readonly outdated: number;
  /** Manifests that could not be used: at most 1,000 of them are named. */
  readonly damaged: readonly DamagedManifest[];
  /** Buckets that could not be read to the end: to be run again when they answer. */
  readonly unreadable: readonly string[];
  readonly unnamed: readonly { bucket: string; objects: number; examples: readonly ObjectKey[] }[];
  readonly missing: Leftovers["missing"];
}

/** Throws BAD_REQUEST where the database is not empty. */
export async function rebuild(deps: RebuildDeps, signal?: AbortSignal): Promise<Rebuilt> {
  if (!(await deps.store.begin())) {
    throw new VaultError(
      "BAD_REQUEST",
      "the database holds files or uploads already: a rebuild takes an empty one",
    );
  }
  const scan = new Scan(deps, await BucketNumbers.open(deps.directory, deps.buckets), signal);
  await Promise.all(deps.buckets.map(bucket => scan.read(bucket)));
  return scan.report(await deps.store.finish());
}

class Scan {
  #objects = 0;
  #listed = 0;
  #outdated = 0;
  readonly #files = new Set<string>();
  readonly #damaged: Omit<DamagedManifest, "isRestored">[] = [];
  readonly #unreadable: string[] = [];

  constructor(
    private readonly deps: RebuildDeps,
    private readonly numbers: BucketNumbers,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** All objects of one bucket, a page at a time. */
  async read(bucket: Bucket): Promise<void> {
    const bucketId = await this.numbers.of(bucket.name, []);
    try {
      for (let after: ObjectKey | null = null; ; ) {
        const page: readonly ObjectKey[] = await bucket.list({ after }, this.signal);
        after = page.at(-1) ?? null;
        if (after === null) return;
        this.#listed += page.length;
        const { manifests, signposts } = await this.#marked(bucket, page);
        await this.deps.store.note(bucketId, page, await this.#signposts(bucket, bucketId, signposts));
        for (const key of manifests) await this.#take(bucket, bucketId, key);
      }
    } catch (error) {
      this.signal?.throwIfAborted();
      if (!(error instanceof BucketError)) throw error;
      this.deps.log.error("a bucket could not be read to the end", {
        bucket: bucket.name,
        reason: error.message,
      });
      this.#unreadable.push(bucket.name);
    }
  }

  async report({ unnamed, missing }: Leftovers): Promise<Rebuilt> {
    const nameOf = await this.numbers.names();
    return {
      files: this.#files.size,
      objects: this.#objects,
      outdated: this.#outdated,
      damaged: this.#damaged.map(one => ({
        ...one,
        isRestored: one.hash !== null && this.#files.has(one.hash),
      })),
      unreadable: this.#unreadable,
      unnamed: unnamed.map(({ bucketId, ...rest }) => ({ bucket: nameOf.get(bucketId) ?? "", ...rest })),
      missing,
    };
  }

  /** The keys of those objects that begin with a mark of the operator's. */
  async #marked(
    bucket: Bucket,
    page: readonly ObjectKey[],
  ): Promise<{ manifests: ObjectKey[]; signposts: ObjectKey[] }> {
    const { operatorKey } = this.deps;
    const marked = { manifests: [] as ObjectKey[], signposts: [] as ObjectKey[] };
    for (let from = 0; from < page.length; from += PARALLEL_READS) {
      const keys = page.slice(from, from + PARALLEL_READS);
      const range = { first: 0, last: MARK_BYTES - 1 };
      const begins = await Promise.all(keys.map(key => bucket.get(key, range, this.signal)));
      for (const [i, key] of keys.entries()) {
        const begin = begins[i] ?? new Uint8Array();
        if (hasMark(operatorKey, key, begin)) marked.manifests.push(key);
        else if (isSignpost(operatorKey, key, begin)) marked.signposts.push(key);
      }
      this.#objects += keys.length;
      this.deps.onProgress({ looked: this.#objects, listed: this.#listed });
    }
    return marked;
  }

  /** What is no signpost any more is left to the report of what nothing names. */
  async #signposts(
    bucket: Bucket,
    bucketId: BucketId,
    keys: readonly ObjectKey[],
  ): Promise<RestoredSignpost[]> {
    const signposts: RestoredSignpost[] = [];
    for (const objectKey of keys) {
      const range = { first: 0, last: MAX_SIGNPOST_BYTES - 1 };
      const bytes = await bucket.get(objectKey, range, this.signal);
      const fileId = bytes && fileOfSignpost(this.deps.operatorKey, objectKey, bytes);
      if (!fileId || openSignpost(fileId, objectKey, bytes) === null) continue;
      const stored = { storedBytes: bytes.length, digest: digestOf(bytes) };
      signposts.push({ fileId, object: { bucketId, objectKey, part: "signpost", ...stored } });
    }
    return signposts;
  }

  async #take(bucket: Bucket, bucketId: BucketId, objectKey: ObjectKey): Promise<void> {
    const object = await readManifest(bucket, objectKey, this.signal);
    if (!object) return; // deleted since it was listed
    const file = new RestorableFile(this.deps, this.numbers, { bucketId, objectKey }, object);
    try {
      const { restored, map } = file.open();
      const outcome = await this.deps.store.restore(restored, map);
      if (outcome === "outdated") this.#outdated++;
      this.#files.add(restored.file.hash);
    } catch (error) {
      if (!isDamage(error)) throw error;
      const where = { bucket: bucket.name, objectKey };
      this.deps.log.warn("a manifest cannot be used", { ...where, reason: String(error) });
      if (this.#damaged.length < MAX_DAMAGED) this.#damaged.push({ ...where, hash: file.hash });
    }
  }
}

/** Of this manifest; anything else, a database that is away say, ends the rebuild. */
function isDamage(error: unknown): boolean {
  return error instanceof FormatError || (error instanceof VaultError && error.code === "FILE_UNAVAILABLE");
}
