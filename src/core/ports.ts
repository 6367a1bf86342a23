/**
 * Everything the program needs from the world, in the order in which a byte meets it. Adapters implement these and
 * make **one attempt**; retry, limits, deadlines and metrics are wrappers of the same type (`buckets/open.ts`).
 * Times come from the database's clock alone, so replicas with skewed clocks agree about what has expired.
 */
import type { PasswordParams } from "../format/argon.js";
import type { AuditEvent } from "./audit.js";
import type { FileId } from "../format/id.js";
import type { NewGrant } from "./grant-ports.js";
import type { NewManifest } from "./manifest-ports.js";
import type {
  BucketId,
  BucketRecord,
  BucketState,
  ChunkRecord,
  FileTerms,
  HeldUpload,
  Identity,
  NewTerms,
  ObjectKey,
  ObjectRef,
  StoredFile,
  Tail,
  Upload,
  UploadStage,
} from "./model.js";

// ------------------------------------------------------------------ buckets

/** First and last byte, both inclusive, as in HTTP. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** Some of the keys in a bucket, in byte order: those that come after `after` and begin with `prefix`, where given. */
export interface KeyRange {
  readonly after?: ObjectKey | null;
  readonly prefix?: string;
}

/** One container at a provider. Failures are {@link BucketError}s; an aborted `signal` rejects with its reason. */
export interface Bucket {
  /** As configured, without options: `gs://name`, `file:///path`. */
  readonly name: string;

  /**
   * Creates `key`. Resolves only once the object is durable. Idempotent for equal bytes, so that a put whose answer
   * was lost can be made again; a key that holds other bytes is a `conflict` and stays as it was.
   */
  put(key: ObjectKey, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;

  /**
   * Reads the object or exactly `range` of it; null if there is no such object. An object shorter than the range
   * gives the bytes there are: the caller authenticates what it gets.
   */
  get(key: ObjectKey, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array | null>;

  /** Removes the object. Idempotent: a missing one is success. */
  delete(key: ObjectKey, signal?: AbortSignal): Promise<void>;

  /** The first keys of a range, at most 1,000 of them; an empty page is the end. */
  list(range?: KeyRange, signal?: AbortSignal): Promise<readonly ObjectKey[]>;
}

/** What some providers can tell beside the port of their bucket. */
export interface BucketSize {
  /** Bytes the bucket can hold altogether; null where nobody knows. */
  capacityBytes(): Promise<number | null>;
}

/** How a bucket did in the last fifteen minutes, as this process saw it. */
export interface HealthReport {
  /** Whether it answered when it was last asked, in whatever way. */
  readonly isReachable: boolean;
  /** How long ago that was. */
  readonly ageMs: number;
  /** Of what went well; null when nothing was asked. */
  readonly latencyMsP50: number | null;
  readonly latencyMsP95: number | null;
  /** Failed attempts among all, 0 to 1; null when nothing was asked. */
  readonly errorRate: number | null;
  /** What failed and how, in a word each: no object, no path, no address. */
  readonly lastError: string | null;
}

export interface BucketHealth {
  /** By the bucket's name. Null: never asked here. */
  of(bucket: string): HealthReport | null;
}

/** The `buckets` table. */
export interface BucketDirectory {
  /** Gives every configured bucket a row (a new one is active, weight 1) and returns all rows. Idempotent. */
  register(
    buckets: readonly Pick<BucketRecord, "name" | "provider" | "region" | "domain">[],
  ): Promise<readonly BucketRecord[]>;
  list(): Promise<readonly BucketRecord[]>;
  /**
   * Changes a bucket, one change at a time over all replicas: `rule` sees what the buckets were and would be, and what it
   * throws leaves them as they were. Null: no such bucket.
   */
  update(
    id: BucketId,
    change: BucketChange,
    rule: (step: BucketStep) => void,
    event?: AuditEvent,
  ): Promise<BucketRecord | null>;
  /** What lies in the bucket. */
  contents(id: BucketId): Promise<BucketContents>;
}

/** What an administrator may change. */
export interface BucketChange {
  readonly state?: BucketState;
  readonly weight?: number;
}

/** One change, before it is made. */
export interface BucketStep {
  readonly before: BucketRecord;
  readonly after: BucketRecord;
  readonly others: readonly BucketRecord[];
  readonly contents: BucketContents;
}

/** What lies in one bucket, by what still needs it. */
export interface BucketContents {
  readonly chunkCount: number;
  readonly storedBytes: number;
  /** Objects of recovery manifests, signposts among them. */
  readonly manifestCount: number;
  /** Tails of open uploads. */
  readonly tailCount: number;
  /** Objects reserved by a writer or a move that may still name them. */
  readonly reservedCount: number;
  /** Objects that nothing can name any more; the sweep deletes them. */
  readonly deadCount: number;
}

// ------------------------------------------------------------------ uploads

/** The columns an upload begins with; the database adds times from its own clock. */
export interface NewUpload
  extends Pick<Upload, "id" | "length" | "layout" | "parity" | "floeHeader" | "meta" | "facts" | "terms"> {
  /** HKDF of the token: the handle under which {@link UploadStore.find} finds it. */
  readonly tokenId: Uint8Array;
  readonly ttlSeconds: number;
}

/** Open uploads. An `event` is audited in the transaction that does what it says, and only if that is done. */
export interface UploadStore {
  /** Writes the upload and its first grants in one transaction. */
  create(upload: NewUpload, grants: readonly NewGrant[], event?: AuditEvent): Promise<Upload>;
  find(tokenId: Uint8Array): Promise<HeldUpload | null>;
  /**
   * Takes the upload over: raises its lease by one if it is receiving, not expired and stands at `offset`, and, where
   * `length` is given and the upload has none yet, declares it, unless the upload would then end with a chunk that was sealed
   * as one that others follow. It lives at least `ttlSeconds` from then on. Null if any of that does not hold.
   */
  lease(id: FileId, at: { offset: number; length?: number; ttlSeconds?: number }): Promise<HeldUpload | null>;
  /**
   * Ends a receiving upload without a file: sets `stage`, deletes all its grants, and turns its chunk rows and tail
   * into dead objects for the sweep, in one transaction. False if it was not receiving, or is to be `expired` and has got
   * bytes meanwhile.
   */
  end(
    id: FileId,
    stage: Exclude<UploadStage, "receiving" | "finished">,
    event?: AuditEvent,
  ): Promise<boolean>;
  /** Those that are receiving and not expired live at least this much longer. */
  keep(tokenIds: readonly Uint8Array[], ttlSeconds: number): Promise<void>;
}

/** What one transaction of an append makes durable. */
export interface Commit {
  readonly uploadId: FileId;
  readonly lease: number;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly chunks: readonly ChunkRecord[];
  /** The data chunk that becomes the tail again: its row, and those of the stripe's parity, become dead objects. */
  readonly reopens?: { readonly stripe: number; readonly shard: number; readonly parityFrom: number };
  /** The tail from now on. The one it replaces becomes a dead object. */
  readonly tail: Tail | null;
  /** Declares the length, when the last byte has come and none was declared. */
  readonly length: number | null;
  /** The upload lives this much longer. */
  readonly ttlSeconds: number;
}

/** Which object in which bucket is which chunk of which file. */
export interface ChunkMap {
  /**
   * Records objects as *pending* before their bytes are put, so that a crash leaves no object nobody knows of.
   * They stay pending until {@link commit} names them or the sweep finds them lost.
   */
  reserve(uploadId: FileId, lease: number, objects: readonly ObjectRef[]): Promise<void>;
  /**
   * Compare-and-swap: only if the upload is receiving, holds `lease` and stands at `fromOffset` does it insert the
   * chunk rows, clear their pending rows (each must be there), move the offset and swap the tail. All or nothing.
   * False: another writer has taken over, or the upload has ended.
   */
  commit(commit: Commit): Promise<boolean>;
  /** Chunk rows in (stripe, shard) order, those of stripes `fromStripe` … `toStripe` inclusive. */
  chunks(fileId: FileId, fromStripe: number, toStripe: number): Promise<readonly ChunkRecord[]>;
}

/** What became of a chunk's object. */
export interface Damage {
  readonly chunk: ChunkRecord;
  readonly state: "missing" | "corrupt";
}

/** Chunks that were found missing or corrupt: what repair works on. */
export interface DamageReports {
  /**
   * Notes what became of objects of a file, but of those whose row names another by now, and that the file is degraded.
   * Idempotent.
   */
  report(fileId: FileId, damage: readonly Damage[]): Promise<void>;
}

/** What makes a file of a complete upload. */
export interface Finish {
  readonly uploadId: FileId;
  readonly lease: number;
  readonly file: Pick<StoredFile, "id" | "hash" | "core" | "seal" | "plainBytes" | "parity"> & {
    readonly meta: Uint8Array;
  };
  readonly terms: FileTerms;
  /** By the database's clock; what expires counts from here. */
  readonly createdAt: Date;
  /** The password grant, where it was not written when the upload began. */
  readonly grant: NewGrant | null;
  readonly event?: AuditEvent;
  /** What of the file lies in the buckets already. */
  readonly manifest: NewManifest;
  /** As the upload had it before the manifest's rows were read: if it has more by now, the manifest is stale. */
  readonly movedChunks: number;
}

// ------------------------------------------------------------------ files

/** Finished files. An `event` is audited in the transaction that does what it says, and only if that is done. */
export interface FileStore {
  /**
   * Writes the file, deletes the upload grant and marks the upload finished with the file's hash, in one transaction,
   * if the upload is receiving and holds the lease. Null otherwise. A file without a password grant is refused.
   */
  finish(finish: Finish): Promise<StoredFile | null>;
  find(by: { hash: string } | { id: FileId }): Promise<StoredFile | null>;
  /**
   * Locks the file's row and writes what `decide` makes of it, so that of two changes at once the second sees the first.
   * What `decide` throws changes nothing. Null: no such file.
   */
  changeTerms(
    id: FileId,
    decide: (file: StoredFile) => NewTerms,
    event?: AuditEvent,
  ): Promise<StoredFile | null>;
  /**
   * Shreds: deletes every grant and the sealed meta and sets the status to gone, in one transaction; then turns the
   * chunk rows into dead objects in batches. Idempotent, and resumes where a crash stopped it. `asked`: because who may
   * wants it so; throws FILE_RETAINED. `over`: only if the file is over when its row is locked, or gone already. False: no
   * such file, or not over.
   */
  shred(id: FileId, why: "asked" | "over", event?: AuditEvent): Promise<boolean>;
}

// ------------------------------------------------------------------ the rest of the world

/** Counts tries per key over all replicas. */
export interface AttemptLimiter {
  /** Rejects as {@link take} would, and takes nothing. */
  check(keys: readonly AttemptKey[]): Promise<void>;
  /** Takes one slot of each key before the work is done; rejects with `TOO_MANY_ATTEMPTS` when one has none left. */
  take(keys: readonly AttemptKey[]): Promise<void>;
  /** Gives the slots back: the try was right. */
  giveBack(keys: readonly AttemptKey[]): Promise<void>;
}

/** `password` per file hash, `address` per caller address (wrong passwords), `begin` per address (uploads begun). */
export interface AttemptKey {
  readonly limit: "password" | "address" | "begin";
  readonly key: string;
}

/** Turns a password into the key of its wrap. */
export interface PasswordHasher {
  /** As `passwordKey` of format/argon: off the event loop, holding `params.memoryKiB` meanwhile. One attempt. */
  key(password: string, params: PasswordParams, fileId: FileId, pepper?: Uint8Array): Promise<Uint8Array>;
}

/** Tells who holds a bearer token. */
export interface TokenVerifier {
  /** Rejects with `UNAUTHENTICATED` for a token that is not valid, `IDENTITY_UNAVAILABLE` when that cannot be told. */
  verify(token: string): Promise<Identity>;
}

/** The one clock by which things expire: the database's. */
export interface Clock {
  now(): Promise<Date>;
}

/** Structured log lines; `facts` never hold a secret. */
export interface Log {
  info(message: string, facts?: Record<string, unknown>): void;
  warn(message: string, facts?: Record<string, unknown>): void;
  error(message: string, facts?: Record<string, unknown>): void;
}
