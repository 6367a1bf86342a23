/** The port of the lists that administrators read: pages of files, uploads and chunk maps. */
import type { FileId } from "../format/id.js";
import type { BucketId, ChunkRecord, FileStatus, StoredFile, Upload, UploadStage } from "./model.js";

/** Where a page begins and how long it is. `after` and `before` are cursors of {@link Page}. */
export interface PageRequest {
  readonly limit: number;
  readonly after: string | null;
  readonly before: string | null;
  /** True: the last `limit` entries before the end or `before`. */
  readonly backward: boolean;
}

export interface Page<T> {
  readonly entries: readonly { readonly cursor: string; readonly node: T }[];
  readonly hasPrevious: boolean;
  readonly hasNext: boolean;
  readonly totalCount: number;
}

/** A row of the chunk map as an administrator sees it. */
export interface ChunkView extends ChunkRecord {
  readonly fileId: FileId;
  readonly writtenAt: Date;
  readonly lastVerifiedAt: Date | null;
  readonly state: "stored" | "missing" | "corrupt";
}

export interface FileListFilter {
  readonly hashStartsWith?: string;
  readonly status?: readonly FileStatus[];
}

export interface UploadListFilter {
  /** `expired` is also what the sweep has yet to reach, and `receiving` is not. */
  readonly stage?: readonly UploadStage[];
}

/** What one bucket holds of files and of uploads under way, parity included. */
export interface BucketUsage {
  readonly bucketId: BucketId;
  readonly chunkCount: number;
  readonly storedBytes: number;
}

/** Keyset-paged lists; never an offset scan. A cursor that is not ours is a VaultError BAD_REQUEST. */
export interface Catalogue {
  files(page: PageRequest, filter: FileListFilter): Promise<Page<StoredFile>>;
  chunks(fileId: FileId, page: PageRequest): Promise<Page<ChunkView>>;
  /** Those that are not forgotten yet, newest first. */
  uploads(page: PageRequest, filter: UploadListFilter): Promise<Page<Upload>>;
  /** Exact and cheap however many chunks there are; buckets that hold nothing are left out. */
  usage(): Promise<readonly BucketUsage[]>;
}
