/** The ports of what administrators read: pages of files and uploads, chunk maps, and how much there is. */
import type { FileId } from "../format/id.js";
import type { BucketId, ChunkRecord, FileStatus, Grant, StoredFile, Upload, UploadStage } from "./model.js";

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
  /** Of the whole list; counts no further than 100,000. Asked only where somebody wants to know. */
  totalCount(): Promise<number>;
}

export interface FileListFilter {
  readonly hashStartsWith?: string;
  /** As files are shown: `gone` is also what the sweep has yet to reach. */
  readonly status?: readonly FileStatus[];
  /** Exclusive, like `createdBefore`. */
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
  /** Of the plain file, inclusive, like `sizeAtMost`. */
  readonly sizeAtLeast?: number;
  readonly sizeAtMost?: number;
  /** Only files with a chunk in this bucket. */
  readonly bucketId?: BucketId;
}

/** Files that are equal in `field` are in the order of their ids. One that never expires comes after all that do. */
export interface FileOrder {
  readonly field: "createdAt" | "expiresAt" | "size" | "downloadCount";
  readonly direction: "asc" | "desc";
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

/** Of files that can be had, whatever their state. */
export interface FileTotals {
  readonly fileCount: number;
  readonly plainBytes: number;
  readonly degradedFileCount: number;
  readonly unavailableFileCount: number;
  readonly uploadsUnderWay: number;
}

/** Keyset-paged lists; never an offset scan. A cursor of another list or order is a VaultError BAD_REQUEST. */
export interface Catalogue {
  files(page: PageRequest, filter: FileListFilter, order: FileOrder): Promise<Page<StoredFile>>;
  /** Those that are not forgotten yet, newest first. */
  uploads(page: PageRequest, filter: UploadListFilter): Promise<Page<Upload>>;
  /** Exact and cheap however many chunks there are; buckets that hold nothing are left out. */
  usage(): Promise<readonly BucketUsage[]>;
  /** Exact; walks over the files, not over their chunks. */
  totals(): Promise<FileTotals>;
}

/** A row of the chunk map as an administrator sees it. */
export interface ChunkView extends ChunkRecord {
  readonly fileId: FileId;
  readonly writtenAt: Date;
  readonly lastVerifiedAt: Date | null;
  readonly state: "stored" | "missing" | "corrupt";
}

export interface ChunkListFilter {
  readonly bucketId?: BucketId;
  readonly state?: readonly ChunkView["state"][];
  readonly kind?: "data" | "parity";
}

/** A file whose chunk map is read. */
export type MappedFile = Pick<StoredFile, "id" | "parity">;

/** Data chunks `first` to `last` of a file; where chunks of other buckets lie between them, `chunkCount` is smaller. */
export interface ChunkRange {
  readonly first: number;
  readonly last: number;
  readonly chunkCount: number;
}

/** What one bucket holds of a file, parity included; the ranges are of its data chunks, in order. */
export interface BucketShare extends BucketUsage {
  readonly ranges: readonly ChunkRange[];
}

/** Chunk maps, of several files in one statement. The answers are in the order of the files. */
export interface ChunkCatalogue {
  /** The same page of each map, in (stripe, shard) order. A cursor belongs to the map of one file. */
  pages(
    files: readonly MappedFile[],
    page: PageRequest,
    filter: ChunkListFilter,
  ): Promise<readonly Page<ChunkView>[]>;
  /**
   * Each file's chunks, counted by bucket. A file of up to `maxRanges` stripes has exact ranges; a longer one is cut
   * into that many bins of equal length, and what a bucket holds of a bin is one range.
   */
  shares(files: readonly MappedFile[], maxRanges: number): Promise<readonly (readonly BucketShare[])[]>;
}

/** Links, of several files together. The answers are in the order of the files. */
export interface LinkCatalogue {
  /** The same page of the links of each, newest first; those that are over are among them. */
  pages(fileIds: readonly FileId[], page: PageRequest): Promise<readonly Page<Grant>[]>;
}

/** Single rows by what names them, for administrators; null where there is none. */
export interface Lookup {
  /** In the order of the names. */
  files(
    by: { hashes: readonly string[] } | { ids: readonly FileId[] },
  ): Promise<readonly (StoredFile | null)[]>;
  upload(id: FileId): Promise<Upload | null>;
  chunk(fileId: FileId, stripe: number, shard: number): Promise<ChunkView | null>;
  link(id: Uint8Array): Promise<Grant | null>;
}
