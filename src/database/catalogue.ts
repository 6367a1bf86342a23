/** Lists for administrators: files and uploads, newest first, and the chunk map of one file. */
import type { FilterQuery } from "@mikro-orm/core";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { StoredFile, Upload } from "../core/model.js";
import type {
  BucketUsage,
  Catalogue,
  ChunkView,
  FileListFilter,
  Page,
  PageRequest,
  UploadListFilter,
} from "../core/catalogue.js";
import type { ChunkTableRow, FileRow, UploadRow } from "./entities.js";
import { CHUNK_STATES, ChunkTable, FileTable, UploadTable } from "./entities.js";
import { toFile } from "./file-store.js";
import type { Keyset } from "./keyset.js";
import { readPage } from "./keyset.js";
import type { Database } from "./orm.js";
import { bytes, objectKey } from "./rows.js";
import { toUpload } from "./upload-store.js";
import { readUsage } from "./usage.js";

/** Milliseconds of an ECMAScript date, and a uuid. */
const TIME_KEY = /^(\d{1,15}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const CHUNK_KEY = /^(\d{1,9}) (\d{1,4})$/;

const NEWEST_FIRST = {
  columns: ["createdAt", "id"],
  direction: "desc",
  keyOf: (row: { createdAt: Date; id: string }) => [row.createdAt.getTime(), row.id] as const,
  keyPattern: TIME_KEY,
  valuesOf: (ms: string, id: string) => [new Date(Number(ms)), id] as const,
} as const;

export class CatalogueRows implements Catalogue {
  constructor(private readonly database: Database) {}

  files(page: PageRequest, filter: FileListFilter): Promise<Page<StoredFile>> {
    const list: Keyset<FileRow, StoredFile> = {
      entity: FileTable,
      where: fileFilter(filter),
      ...NEWEST_FIRST,
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

  uploads(page: PageRequest, filter: UploadListFilter): Promise<Page<Upload>> {
    const list: Keyset<UploadRow, Upload> = {
      entity: UploadTable,
      where: uploadFilter(filter),
      ...NEWEST_FIRST,
      toNode: toUpload,
    };
    return readPage(this.database.em(), list, page);
  }

  usage(): Promise<readonly BucketUsage[]> {
    return readUsage(this.database.em());
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

/** The rows say `receiving` until the sweep has come by; the clock is right before it. */
function uploadFilter({ stage }: UploadListFilter): FilterQuery<UploadRow> {
  if (stage === undefined) return {};
  const isExpired = [
    ...(stage.includes("receiving") ? [false] : []),
    ...(stage.includes("expired") ? [true] : []),
  ];
  return {
    $or: [
      { stage: { $in: stage.filter(one => one !== "receiving") } },
      { stage: "receiving", isExpired: { $in: isExpired } },
    ],
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
