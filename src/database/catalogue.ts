/** Lists for administrators: files in the order asked for, uploads newest first; and how much lies where. */
import type { FilterQuery } from "@mikro-orm/core";
import { raw } from "@mikro-orm/postgresql";
import { VaultError } from "../core/errors.js";
import type { FileStatus, StoredFile, Upload } from "../core/model.js";
import type {
  BucketUsage,
  Catalogue,
  FileListFilter,
  FileOrder,
  FileTotals,
  Page,
  PageRequest,
  UploadListFilter,
} from "../core/catalogue.js";
import type { FileRow, UploadRow } from "./entities.js";
import { FileTable, UploadTable } from "./entities.js";
import { toFile } from "./file-row.js";
import type { Keyset } from "./keyset.js";
import { readPage } from "./keyset.js";
import type { Database } from "./orm.js";
import { toUpload } from "./upload-store.js";
import { readTotals, readUsage } from "./usage.js";

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const NUMBER_AND_ID = new RegExp(`^(\\d{1,16}) (${UUID})$`);
/** Milliseconds since 1970, up to the year 5138. */
const TIME_AND_ID = new RegExp(`^(\\d{1,14}) (${UUID})$`);
const EXPIRY_AND_ID = new RegExp(`^(\\d{1,14}|infinity) (${UUID})$`);
/** Of an `int` column. */
const MAX_INT = 2 ** 31 - 1;

type FileOrdering = Pick<Keyset<FileRow, StoredFile>, "keys" | "keyOf" | "keyPattern" | "valuesOf">;

/** Each is an index of its own: `files_newest`, `files_by_expiry`, `files_by_size`, `files_by_downloads`. */
const FILE_ORDERS: Record<FileOrder["field"], FileOrdering> = {
  createdAt: {
    keys: files => [`${files}.created_at`, `${files}.id`],
    keyOf: row => [row.createdAt.getTime(), row.id],
    keyPattern: TIME_AND_ID,
    valuesOf: ([time, id]) => [timestamp(time), id],
  },
  expiresAt: {
    keys: files => [`coalesce(${files}.expires_at, 'infinity')`, `${files}.id`],
    keyOf: row => [row.expiresAt?.getTime() ?? "infinity", row.id],
    keyPattern: EXPIRY_AND_ID,
    valuesOf: ([time, id]) => [time === "infinity" ? time : timestamp(time), id],
  },
  size: {
    keys: files => [`${files}.plain_bytes`, `${files}.id`],
    keyOf: row => [row.plainBytes, row.id],
    keyPattern: NUMBER_AND_ID,
  },
  downloadCount: {
    keys: files => [`${files}.download_count`, `${files}.id`],
    keyOf: row => [row.downloadCount, row.id],
    keyPattern: NUMBER_AND_ID,
    valuesOf: ([count, id]) => [Math.min(Number(count), MAX_INT), id],
  },
};

export class CatalogueRows implements Catalogue {
  constructor(private readonly database: Database) {}

  files(
    page: PageRequest,
    filter: FileListFilter,
    { field, direction }: FileOrder,
  ): Promise<Page<StoredFile>> {
    const list: Keyset<FileRow, StoredFile> = {
      name: `files ${field} ${direction}`,
      entity: FileTable,
      where: fileFilter(filter),
      direction,
      ...FILE_ORDERS[field],
      toNode: toFile,
    };
    return readPage(this.database.em(), list, page);
  }

  uploads(page: PageRequest, filter: UploadListFilter): Promise<Page<Upload>> {
    const list: Keyset<UploadRow, Upload> = {
      name: "uploads",
      entity: UploadTable,
      where: uploadFilter(filter),
      keys: uploads => [`${uploads}.created_at`, `${uploads}.id`],
      direction: "desc",
      keyOf: row => [row.createdAt.getTime(), row.id],
      keyPattern: TIME_AND_ID,
      valuesOf: ([time, id]) => [timestamp(time), id],
      toNode: toUpload,
    };
    return readPage(this.database.em(), list, page);
  }

  usage(): Promise<readonly BucketUsage[]> {
    return readUsage(this.database.em());
  }

  totals(): Promise<FileTotals> {
    return readTotals(this.database.em());
  }
}

/** Not a Date: pg would write it in this process's time zone. */
function timestamp(ms: string): string {
  return new Date(Number(ms)).toISOString();
}

function fileFilter(filter: FileListFilter): FilterQuery<FileRow> {
  const { hashStartsWith = "", status, bucketId } = filter;
  const conditions: FilterQuery<FileRow>[] = [
    { createdAt: range({ $gt: filter.createdAfter, $lt: filter.createdBefore }) },
    { plainBytes: range({ $gte: filter.sizeAtLeast, $lte: filter.sizeAtMost }) },
    ...(hashStartsWith === "" ? [] : [{ hash: hashesFrom(hashStartsWith.toLowerCase()) }]),
    ...(status === undefined ? [] : [statusIn(status)]),
    ...(bucketId === undefined ? [] : [hasChunkIn(bucketId)]),
  ];
  return { $and: conditions };
}

/** Only the bounds that were given. */
function range<T>(bounds: Record<string, T | undefined>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(bounds).filter((bound): bound is [string, T] => bound[1] !== undefined),
  );
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

/** The rows say what they said before their expiry until the sweep has come by; the clock is right before it. */
function statusIn(status: readonly FileStatus[]): FilterQuery<FileRow> {
  const living = {
    status: { $in: status.filter(one => one !== "gone") },
    $or: [{ isPastExpiry: false }, { isRetained: true }],
  };
  const gone = [{ status: "gone" as const }, { isPastExpiry: true, isRetained: false }];
  return { $or: status.includes("gone") ? [living, ...gone] : [living] };
}

/** `offset 0` keeps PostgreSQL from starting with all chunks of the bucket: it looks up each file that it comes across. */
function hasChunkIn(bucketId: number): FilterQuery<FileRow> {
  const condition = raw(
    files => `exists (select from chunks c where c.file_id = ${files}.id and c.bucket_id = ? offset 0)`,
    [bucketId],
  );
  return { [condition]: [] } as FilterQuery<FileRow>;
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
