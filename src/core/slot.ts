/** Where a chunk stands in the stripes of its file. */
import type { ParityProfile } from "./model.js";

/** One chunk's place: data shards come first, then those of the parity. */
export interface Slot {
  readonly stripe: number;
  readonly shard: number;
}

/** The place of a data chunk. */
export function slotOf(chunkIndex: number, { dataChunks }: Pick<ParityProfile, "dataChunks">): Slot {
  return { stripe: Math.floor(chunkIndex / dataChunks), shard: chunkIndex % dataChunks };
}
