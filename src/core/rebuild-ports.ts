/** The port through which a database is made anew from what lies in the buckets. */
import type { FileId } from "../format/id.js";
import type { ManifestObject } from "./manifest-ports.js";
import type { BucketId, ChunkRecord, ObjectKey, StoredFile } from "./model.js";

/** A file as its manifest has it, with bucket numbers of the new database. */
export interface RestoredFile {
  readonly file: Pick<
    StoredFile,
    | "id"
    | "hash"
    | "core"
    | "seal"
    | "plainBytes"
    | "parity"
    | "createdAt"
    | "expiresAt"
    | "retainUntil"
    | "maxDownloads"
    | "downloadCount"
  > & { readonly meta: Uint8Array };
  /** The password wrap. */
  readonly wrap: Uint8Array;
  readonly mapKey: Uint8Array;
  readonly escrowId: Uint8Array;
  readonly revision: number;
  /** The copy that was read. */
  readonly root: ManifestObject;
}

/** What of a file is read only where it is needed. */
export interface RestoredMap {
  /** The parts of the manifest that are there, and whether these are all it names. */
  parts(): Promise<{ readonly objects: readonly ManifestObject[]; readonly areAll: boolean }>;
  /** Every chunk, with its bucket's number in the new database. */
  chunks(): AsyncIterable<readonly ChunkRecord[]>;
}

export interface RestoredSignpost {
  readonly fileId: FileId;
  readonly object: ManifestObject;
}

/** What the rebuilt database and the buckets do not agree on. */
export interface Leftovers {
  /** Objects that nothing names, by bucket: of deleted files, of open uploads, or not ours. */
  readonly unnamed: readonly {
    readonly bucketId: BucketId;
    readonly objects: number;
    /** Some of their keys. */
    readonly examples: readonly ObjectKey[];
  }[];
  /** Chunks whose object was not in the listing of its bucket, and the files they belong to. */
  readonly missing: { readonly chunks: number; readonly files: number };
}

export interface RebuildStore {
  /** Takes an empty database, or one that a rebuild has left unfinished. False: it holds something else. */
  begin(): Promise<boolean>;
  /** Remembers what a bucket holds, and which of it are signposts, of files that are restored before or after. */
  note(bucketId: BucketId, keys: readonly ObjectKey[], signposts: readonly RestoredSignpost[]): Promise<void>;
  /**
   * Writes the file in place of an older revision of it, in one transaction; of a revision that is there already only the
   * copy is noted, and `map` is not read. What `map` throws leaves everything as it was.
   */
  restore(file: RestoredFile, map: RestoredMap): Promise<"restored" | "known" | "outdated">;
  /** Compares, marks the manifests that have too few copies or signposts as stale, and ends the rebuild. */
  finish(): Promise<Leftovers>;
}
