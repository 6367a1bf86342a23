/** From an upload whose bytes have all come to the file that it will be. */
import { RootHasher, encodeCore, hashOf, sealOf } from "../format/core.js";
import { commitment } from "../format/keys.js";
import { chunkCount } from "../format/layout.js";
import { openMeta, sealMeta } from "../format/meta.js";
import { VaultError } from "./errors.js";
import type { Upload } from "./model.js";
import type { ChunkMap, Finish } from "./ports.js";

/** Stripes whose rows are read at once. */
const STRIPES_PER_PAGE = 1024;

/** Whether the last chunk, the one sealed as last, is durable. */
export async function isWhole(chunkMap: Pick<ChunkMap, "chunks">, upload: Upload): Promise<boolean> {
  if (upload.length === null || upload.offset !== upload.length || upload.tail) return false;
  // A chunk that is followed by others never ends where the file does (declare-length.ts). No byte tells of an empty one.
  return upload.length > 0 || (await chunkMap.chunks(upload.id, 0, 0)).length > 0;
}

/** Throws UPLOAD_INCOMPLETE unless the upload {@link isWhole}. */
export async function requireWhole(chunkMap: Pick<ChunkMap, "chunks">, upload: Upload): Promise<void> {
  if (await isWhole(chunkMap, upload)) return;
  const message = `upload ${upload.id} stands at ${upload.offset} of ${upload.length}`;
  throw new VaultError("UPLOAD_INCOMPLETE", message);
}

/** The file's row. `sha256` of the plain bytes, where it is known, goes into the sealed meta. */
export async function fileOf(
  chunkMap: Pick<ChunkMap, "chunks">,
  upload: Upload,
  dek: Uint8Array,
  sha256: string | undefined,
): Promise<Finish["file"]> {
  const { id, layout, parity, offset: plainBytes, floeHeader } = upload;
  const core = encodeCore({
    flags: 0,
    ...layout,
    plainBytes,
    chunkCount: chunkCount(layout, plainBytes),
    fileId: id,
    floeHeader,
    commit: commitment(dek),
    root: await rootOf(chunkMap, upload),
  });
  const meta =
    sha256 === undefined ? upload.meta : sealMeta(dek, id, { ...openMeta(dek, id, upload.meta), sha256 });
  return { id, parity, plainBytes, meta, core, seal: sealOf(dek, core), hash: hashOf(core) };
}

/** The root over the digests of all data chunks, in order. Throws INTERNAL unless every chunk and all parity has its row. */
export async function rootOf(
  chunkMap: Pick<ChunkMap, "chunks">,
  { id, layout, parity, offset }: Pick<Upload, "id" | "layout" | "parity" | "offset">,
): Promise<Uint8Array> {
  const count = chunkCount(layout, offset);
  const stripes = Math.ceil(count / parity.dataChunks);
  const hasher = new RootHasher();
  let seen = 0;
  let seenParity = 0;
  for (let from = 0; from < stripes; from += STRIPES_PER_PAGE) {
    for (const row of await chunkMap.chunks(id, from, from + STRIPES_PER_PAGE - 1)) {
      if (row.shard >= parity.dataChunks) {
        seenParity++;
        continue;
      }
      hasher.add(row.digest);
      seen++;
    }
  }
  const parityCount = stripes * parity.parityChunks;
  if (seenParity !== parityCount)
    throw new VaultError("INTERNAL", `upload ${id}: ${seenParity} parity rows, ${parityCount} expected`);
  if (seen !== count) throw new VaultError("INTERNAL", `upload ${id}: ${seen} chunk rows, ${count} expected`);
  return hasher.root();
}
