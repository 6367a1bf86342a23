/**
 * The length of an upload that was begun without one. If it turns out to be where the upload stands, at the end of a whole
 * chunk, that chunk was sealed as one that others follow (its sender had sent more, of which nothing became durable), and a
 * file that ends with it could not be read. It becomes the tail again, so that the next append seals it as the last.
 */
import { plainBytesPerChunk, segmentsPerChunk } from "../format/layout.js";
import { bodyOfUpload } from "./body.js";
import type { Budget } from "./budget.js";
import type { BucketSet } from "./bucket-set.js";
import { chunkMemory } from "./chunk-memory.js";
import { VaultError } from "./errors.js";
import type { HeldUpload, Upload } from "./model.js";
import type { Random } from "./placement.js";
import type { ChunkMap, UploadStore } from "./ports.js";
import { Scatter } from "./scatter.js";
import type { Sealer } from "./sealing.js";
import { slotOf } from "./slot.js";
import { storeTail } from "./tail.js";
import { offsetMismatch, takenOver } from "./upload-errors.js";
import { readWhole } from "./whole-object.js";

interface DeclareDeps {
  readonly buckets: BucketSet;
  readonly chunkMap: ChunkMap;
  readonly uploads: UploadStore;
  readonly sealer: Sealer;
  readonly budget: Budget;
  readonly random: Random;
  readonly uploadTtlSeconds: number;
}

/**
 * Takes the upload over from any other writer. Throws LENGTH_EXCEEDED for a length below what is durable, or beside one that
 * was declared before; OFFSET_MISMATCH, UPLOAD_TAKEN_OVER, FILE_UNAVAILABLE, STORAGE_UNAVAILABLE, STORAGE_FULL.
 */
export async function declareLength(
  deps: DeclareDeps,
  upload: Upload,
  { length, signal }: { readonly length: number; readonly signal?: AbortSignal | undefined },
  dekOf: (leased: HeldUpload) => Uint8Array,
): Promise<void> {
  const { id, offset } = upload;
  const at = { offset, ttlSeconds: deps.uploadTtlSeconds };
  checkLength(upload, length);
  if (await deps.uploads.lease(id, { ...at, length })) return;
  if (length > offset) throw offsetMismatch(upload, offset);
  const leased = await deps.uploads.lease(id, at);
  if (!leased) throw offsetMismatch(upload, offset);
  checkLength(leased, length);
  if (!endsInTail(leased)) await reopenLastChunk(deps, leased, dekOf(leased), signal);
}

function checkLength({ id, offset, length: declared }: Upload, length: number): void {
  if (offset <= length && (declared === null || declared === length)) return;
  const message = `upload ${id}: length ${length} declared at ${offset} of ${declared}`;
  throw new VaultError("LENGTH_EXCEEDED", message, { facts: { max: declared ?? length } });
}

/** Whether what comes last is yet to be sealed as the last, or has been: who declares a length seals by it. */
function endsInTail({ offset, length, tail }: Upload): boolean {
  return offset === 0 || tail !== null || length !== null;
}

async function reopenLastChunk(
  deps: DeclareDeps,
  upload: Upload,
  dek: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { id, lease, offset, layout, parity } = upload;
  const { buckets, chunkMap, sealer } = deps;
  const start = offset - plainBytesPerChunk(layout);
  const chunkIndex = start / plainBytesPerChunk(layout);
  const { stripe, shard } = slotOf(chunkIndex, parity);
  using _held = await chunkMemory(deps.budget, layout, signal);
  const rows = await chunkMap.chunks(id, stripe, stripe);
  const row = rows.find(each => each.shard === shard);
  if (!row) throw new VaultError("INTERNAL", `upload ${id}: chunk ${chunkIndex} has no row`);
  const { message } = bodyOfUpload(upload, dek);
  const position = chunkIndex * segmentsPerChunk(layout);
  const plain = await sealer.open(message, position, await readWhole(buckets, row, signal), false);
  const span = { firstChunkIndex: chunkIndex, endChunkIndex: null, earlier: [] };
  const scatter = new Scatter(buckets, chunkMap, upload, span, deps.random);
  const tail = await storeTail({ scatter, sealer }, upload, dek, start, plain);
  const isCommitted = await chunkMap.commit({
    uploadId: id,
    lease,
    fromOffset: offset,
    toOffset: offset,
    chunks: [],
    reopens: { stripe, shard, parityFrom: parity.dataChunks },
    tail,
    length: offset,
    ttlSeconds: deps.uploadTtlSeconds,
  });
  if (!isCommitted) throw takenOver(upload);
}
