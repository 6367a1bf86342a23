/** How many bytes an append may bring. */
import { plainBytesPerChunk } from "../format/layout.js";
import { VaultError } from "./errors.js";
import type { Upload } from "./model.js";

/** Chunks of an append that is all or nothing: their rows stay in memory until its end, about half a KiB each. */
const MAX_HELD_CHUNKS = 4_096;

export interface Limits {
  readonly upload: Upload;
  readonly maxUploadBytes: number;
  /** Whether the append is all or nothing. */
  readonly isHeld: boolean;
}

/** `after`: where the upload would stand. Throws LENGTH_EXCEEDED, FILE_TOO_LARGE, CHECKSUM_TOO_LARGE. */
export function checkLength(after: number, { upload, maxUploadBytes, isHeld }: Limits): void {
  const { id, offset, length, layout } = upload;
  if (length !== null && after > length) {
    const message = `upload ${id}: ${after} bytes, ${length} declared`;
    throw new VaultError("LENGTH_EXCEEDED", message, { facts: { max: length } });
  }
  if (after > maxUploadBytes) {
    const message = `upload ${id}: more than ${maxUploadBytes} bytes`;
    throw new VaultError("FILE_TOO_LARGE", message, { facts: { max: maxUploadBytes } });
  }
  const max = MAX_HELD_CHUNKS * plainBytesPerChunk(layout);
  if (isHeld && after - offset > max) {
    const message = `upload ${id}: more than ${MAX_HELD_CHUNKS} chunks in one request with a checksum`;
    throw new VaultError("CHECKSUM_TOO_LARGE", message, { facts: { max } });
  }
}
