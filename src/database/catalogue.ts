/** Lists for administrators: files, newest first, and the chunk map of one. */
import type { FilterQuery } from "@mikro-orm/core";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { StoredFile } from "../core/model.js";
import type { Catalogue, ChunkView, FileListFilter, Page, PageRequest } from "../core/ports.js";
import type { ChunkTableRow, FileRow } from "./entities.js";
import { CHUNK_STATES, ChunkTable, FileTable } from "./entities.js";
import { toFile } from "./file-store.js";
import type { Keyset } from "./keyset.js";
import { readPage } from "./keyset.js";
import type { Database } from "./orm.js";
import { bytes, objectKey } from "./rows.js";

/** Milliseconds of an ECMAScript date, and a uuid. */
const FILE_KEY = /^(\d{1,15}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const CHUNK_KEY = /^(\d{1,9}) (\d{1,4})$/;

export class CatalogueRows implements Catalogue {
  constructor(private readonly database: Database) {}

  files(page: PageRequest, filter: FileListFilter): Promise<Page<StoredFile>> {
    const list: Keyset<FileRow, StoredFile> = {
      entity: FileTable,
      where: fileFilter(filter),
      columns: ["createdAt", "id"],
      direction: "desc",
      keyOf: row => [row.createdAt.getTime(), row.id],
      keyPattern: FILE_KEY,
      valuesOf: (ms, id) => [new Date(Number(ms)), id],
      toNode: toFile,
    };
    return readPage(this.database.em(), list, page);
  }

  chunks(fileId: FileId, page: PageRequest): Promise<Page<ChunkView>> {
    const list: Keyset<ChunkTableRow, ChunkView> = {
      entity: ChunkTable,
      where: { fileId },
      columns: ["stripe", "shard"],
      direction: "asc",
      keyOf: row => [row.stripe, row.shard],
      keyPattern: CHUNK_KEY,
      valuesOf: (stripe, shard) => [Number(stripe), Number(shard)],
      toNode: toChunkView,
    };
    return readPage(this.database.em(), list, page);
  }
}

function fileFilter({ hashStartsWith = "", status }: FileListFilter): FilterQuery<FileRow> {
  return {
    ...(hashStartsWith === "" ? {} : { hash: hashesFrom(hashStartsWith.toLowerCase()) }),
    ...(status === undefined ? {} : { status: { $in: [...status] } }),
  };
}

/** A prefix of hex digits is a range of bytes, which the unique index on the hash answers. */
function hashesFrom(prefix: string): { $gte: Buffer; $lte: Buffer } {
  if (!/^[0-9a-f]{1,64}$/.test(prefix)) {
    throw new VaultError("BAD_REQUEST", "a hash has 64 hex digits", { field: "hash" });
  }
  return {
    $gte: Buffer.from(prefix.padEnd(64, "0"), "hex"),
    $lte: Buffer.from(prefix.padEnd(64, "f"), "hex"),
  };
}

function toChunkView(row: ChunkTableRow): ChunkView {
  const state = CHUNK_STATES[row.state];
  if (state === undefined) throw new RangeError(`chunk state ${row.state}`);
  return {
    fileId: row.fileId,
    stripe: row.stripe,
    shard: row.shard,
    bucketId: row.bucketId,
    objectKey: objectKey(row.objectKey),
    storedBytes: row.storedBytes,
    digest: bytes(row.digest),
    state,
    writtenAt: row.writtenAt,
    lastVerifiedAt: row.lastVerifiedAt,
  };
}
