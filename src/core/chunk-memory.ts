import type { Layout } from "../format/layout.js";
import type { Budget, Share } from "./budget.js";
import { READING_BYTES } from "./gather.js";

/**
 * Memory of a chunk that is sealed or opened: twice its size, since it is there plain and sealed at once. Never so much that
 * what it is made of could not be read beside it, however large a chunk.
 */
export function chunkMemory(
  budget: Budget,
  { chunkBytes }: Layout,
  signal: AbortSignal | undefined,
): Promise<Share> {
  const most = Math.max(budget.total / 2, budget.total - READING_BYTES);
  return budget.acquire(Math.min(2 * chunkBytes, most), signal);
}
