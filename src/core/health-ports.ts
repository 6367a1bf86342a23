/** The port of scrub and repair: what is known of the health of stored chunks. */
import type { FileId } from "../format/id.js";
import type { ChunkRecord, FileStatus } from "./model.js";

/** Where in a file its next stripe to be scrubbed is. */
export interface ScrubPlace {
  readonly fileId: FileId;
  readonly stripe: number;
}

/** Files that are degraded or unavailable. */
export interface DamagedFiles {
  /** In the order of their ids. */
  damagedFiles(after: FileId | null, limit: number): Promise<readonly FileId[]>;
  damagedCount(): Promise<number>;
}

export interface ChunkHealth {
  /** The chunks of a file that were found missing or corrupt, in file order. */
  damaged(
    fileId: FileId,
    after: Pick<ChunkRecord, "stripe" | "shard">,
    limit: number,
  ): Promise<readonly ChunkRecord[]>;
  /** Notes that these objects were just read and are right; those whose row names another by now are left out. */
  verified(fileId: FileId, chunks: readonly ChunkRecord[]): Promise<void>;
  /** Sets the file's status by what is wrong with its chunks: nothing, what its parity can rebuild, or more. */
  settle(fileId: FileId): Promise<FileStatus>;
}

/** Where the scrub that never ends stands. */
export interface ScrubPlaces {
  /** The file that was scrubbed longest ago. Null: there are no files. */
  next(): Promise<ScrubPlace | null>;
  /** Notes how far a file has been scrubbed; `stripe` null: whole. */
  reached(fileId: FileId, stripe: number | null): Promise<void>;
}
