/** A row of `files` as core understands it. */
import type { StoredFile } from "../core/model.js";
import type { FileRow } from "./entities.js";
import { bytes, date, hex, integer } from "./rows.js";

export function toFile(row: FileRow): StoredFile {
  const isExpired = row.isPastExpiry && !row.isRetained;
  return {
    id: row.id,
    hash: hex(row.hash),
    core: bytes(row.core),
    seal: bytes(row.seal),
    meta: row.meta && bytes(row.meta),
    plainBytes: integer(row.plainBytes),
    parity: { dataChunks: row.dataChunks, parityChunks: row.parityChunks },
    status: isExpired ? "gone" : row.status,
    createdAt: date(row.createdAt),
    expiresAt: row.expiresAt && date(row.expiresAt),
    maxDownloads: row.maxDownloads,
    downloadCount: row.downloadCount,
    retainUntil: row.retainUntil ? date(row.retainUntil) : null,
    isRetained: row.isRetained,
    isExpired,
  };
}
