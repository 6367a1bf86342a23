/** A chunk map that has at hand what it was asked for last: making a file of an upload goes over its rows twice. */
import type { FileId } from "../format/id.js";
import type { ChunkRecord, ObjectRef } from "./model.js";
import type { ChunkMap } from "./ports.js";

/** Of one file. Rows that change meanwhile are old: `movedChunks` of a finish tells. */
export class LastPage implements Pick<ChunkMap, "reserve" | "chunks"> {
  #rows: readonly ChunkRecord[] = [];
  #from = 0;
  #to = -1;

  constructor(private readonly chunkMap: ChunkMap) {}

  reserve(uploadId: FileId, lease: number, objects: readonly ObjectRef[]): Promise<void> {
    return this.chunkMap.reserve(uploadId, lease, objects);
  }

  async chunks(fileId: FileId, from: number, to: number): Promise<readonly ChunkRecord[]> {
    if (from < this.#from || to > this.#to) {
      this.#rows = await this.chunkMap.chunks(fileId, from, to);
      this.#from = from;
      this.#to = to;
    }
    return this.#rows.filter(({ stripe }) => stripe >= from && stripe <= to);
  }
}
