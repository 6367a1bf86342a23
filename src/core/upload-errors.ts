/** What is said of an upload that does not stand where its caller thinks. */
import { VaultError } from "./errors.js";
import type { Upload } from "./model.js";

export function offsetMismatch(upload: Upload, offset: number): VaultError {
  return new VaultError(
    "OFFSET_MISMATCH",
    `upload ${upload.id} stands at ${upload.offset}, not at ${offset}`,
  );
}

export function takenOver(upload: Upload): VaultError {
  return new VaultError("UPLOAD_TAKEN_OVER", `upload ${upload.id} was taken over`);
}

/** Whether its upload is another writer's by now. */
export function isTakenOver(error: unknown): boolean {
  return error instanceof VaultError && error.code === "UPLOAD_TAKEN_OVER";
}

export function tooLarge(bytes: number, max: number): VaultError {
  return new VaultError("FILE_TOO_LARGE", `${bytes} bytes declared`, { facts: { max } });
}
