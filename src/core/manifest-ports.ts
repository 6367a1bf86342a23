/** The port of recovery manifests: which objects they are, and whether they still say what the database says. */
import type { FileId } from "../format/id.js";
import type { ObjectRef, StoredFile } from "./model.js";

/** The lease under which whatever is written of a file that is one already is pending: no upload's writer has it. */
export const REWRITE_LEASE = 0;

/** One object of a manifest: the manifest itself, a part of a large file's chunk map, or a signpost to it. */
export interface ManifestObject extends ObjectRef {
  readonly part: "root" | "signpost" | number;
  readonly storedBytes: number;
  /** SHA-256 of the stored object. */
  readonly digest: Uint8Array;
}

/** A manifest as it is written before its file is one; its revision is 1, and it is stale until its signposts stand. */
export interface NewManifest {
  readonly mapKey: Uint8Array;
  /** Names the operator's key it was written under; empty: none. */
  readonly escrowId: Uint8Array;
  /** Pending under the upload's lease. */
  readonly objects: readonly ManifestObject[];
  /** False: fewer copies were stored than there should be. */
  readonly isComplete: boolean;
}

/** What a manifest has to say, and what there is of it. */
export interface ManifestState {
  readonly file: StoredFile & { readonly meta: Uint8Array };
  /** The password wrap. */
  readonly wrap: Uint8Array;
  readonly mapKey: Uint8Array;
  readonly escrowId: Uint8Array;
  /** Of everything above: what is read later may be newer, and then the file has a higher revision already. */
  readonly revision: number;
  readonly mapRevision: number;
  readonly writtenRevision: number;
  readonly objects: readonly ManifestObject[];
}

export interface ManifestStore {
  /**
   * Compare-and-swap, in one statement: if the manifest still is as its file's upload left it, `signposts`, which are pending
   * under lease 0 of the file, are part of it, and it is stale no more. False: it still is, its file has changed since.
   */
  complete(fileId: FileId, signposts: readonly ManifestObject[]): Promise<boolean>;
  /**
   * Files, in the order of their ids and after `after`, whose manifest is behind them, was written under another
   * operator's key than `escrowId`, or has an object in a bucket that is to be emptied.
   */
  stale(after: FileId | null, limit: number, escrowId: Uint8Array): Promise<readonly FileId[]>;
  /** Those of {@link stale} that were written under this very key, and whose file has changed. */
  changed(after: FileId | null, limit: number, escrowId: Uint8Array): Promise<readonly FileId[]>;
  /** Those that were written under this very key, and have an object in a bucket that is to be emptied. */
  leaving(after: FileId | null, limit: number, escrowId: Uint8Array): Promise<readonly FileId[]>;
  /** Marks the manifest as stale: an object of it is lost. Where it is no signpost, all of the manifest is not to be kept. */
  outdate(fileId: FileId, lost: ManifestObject): Promise<void>;
  /** Null: no file, a file that is gone, or one without a manifest. */
  read(fileId: FileId): Promise<ManifestState | null>;
  /**
   * Compare-and-swap: if the file is still there and no manifest of this revision or a later one is, `objects` are its
   * manifest from now on. Those it had before and has no more become dead, those that are new must be pending under
   * lease 0 of the file. With `isComplete` false it stays stale.
   */
  replace(manifest: {
    readonly fileId: FileId;
    readonly revision: number;
    readonly escrowId: Uint8Array;
    readonly objects: readonly ManifestObject[];
    readonly isComplete: boolean;
  }): Promise<boolean>;
}
