/** The part of a file that one append brings: where it begins, and where it will end if somebody has said so. */
import { chunkCount, plainBytesPerChunk } from "../format/layout.js";
import { VaultError } from "./errors.js";
import type { ChunkRecord, Upload } from "./model.js";
import type { ChunkMap } from "./ports.js";
import { slotOf } from "./slot.js";

export interface Span {
  readonly firstChunkIndex: number;
  /** The index after the last chunk that is announced; null: nobody knows. Fewer may come, or more. */
  readonly endChunkIndex: number | null;
  /** The rows of the stripe that stands open, whose buckets and parity the first chunks share. */
  readonly earlier: readonly ChunkRecord[];
}

/** `announcedBytes`: how many are to be added to those that are durable. Throws INTERNAL for a tail in the wrong place. */
export async function spanOf(
  chunkMap: Pick<ChunkMap, "chunks">,
  upload: Upload,
  announcedBytes: number | undefined,
): Promise<Span> {
  const firstChunkIndex = firstChunkOf(upload);
  const endChunkIndex = announcedBytes === undefined ? null : endChunkOf(upload, announcedBytes);
  const { stripe, shard } = slotOf(firstChunkIndex, upload.parity);
  const earlier = shard > 0 ? await chunkMap.chunks(upload.id, stripe, stripe) : [];
  return { firstChunkIndex, endChunkIndex, earlier };
}

/** The chunk that the tail begins, or the next bytes where there is none. */
function firstChunkOf({ id, offset, tail, layout }: Upload): number {
  const index = (offset - (tail?.plainBytes ?? 0)) / plainBytesPerChunk(layout);
  if (Number.isInteger(index)) return index;
  throw new VaultError("INTERNAL", `upload ${id}: offset and tail do not meet at a chunk border`);
}

/** Bytes at the end that make no whole chunk are the file's last, or become the tail. */
function endChunkOf({ offset, length, layout }: Upload, announcedBytes: number): number {
  const end = offset + announcedBytes;
  if (length !== null && end >= length) return chunkCount(layout, length);
  const chunks = end / plainBytesPerChunk(layout);
  // A whole chunk that may yet be the last of the file waits in the tail, too.
  return length === null ? Math.ceil(chunks) - 1 : Math.floor(chunks);
}
