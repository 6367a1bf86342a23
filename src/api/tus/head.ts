/**
 * HEAD: where an upload stands. Not @tus/server's, which always tells an offset (a final upload has none until it is
 * made), knows metadata only in clear, and reckons the expiry by this process's clock.
 */
import type { Concatenations } from "../../core/concat.js";
import { VaultError } from "../../core/errors.js";
import type { Caller, Upload } from "../../core/model.js";
import type { Uploads } from "../../core/uploads.js";
import { FINAL, finishUpload, sealLast } from "./creation.js";
import { expiresHeader } from "./store.js";

/** Throws NOT_FOUND, UPLOAD_EXPIRED. */
export async function describeUpload(
  { uploads, concatenations }: { readonly uploads: Uploads; readonly concatenations: Concatenations },
  token: string,
  caller: Caller,
): Promise<Record<string, string>> {
  const before = await uploads.find(token);
  const { uploadMetadata, uploadConcat } = uploads.factsOf(token, before);
  const isFinal = uploadConcat?.startsWith(FINAL) === true;
  if (isFinal && before.stage === "receiving") await concatenations.proceedIfStalled(token, before);
  const upload = isFinal ? before : await finishIfWhole(uploads, token, before, caller);
  const isDone = upload.stage === "finished";
  return {
    "Cache-Control": "no-store",
    ...(isFinal && !isDone ? {} : { "Upload-Offset": String(upload.offset) }),
    ...(upload.length === null ? { "Upload-Defer-Length": "1" } : { "Upload-Length": String(upload.length) }),
    ...(uploadMetadata && { "Upload-Metadata": uploadMetadata }),
    ...(uploadConcat && { "Upload-Concat": uploadConcat }),
    ...(upload.hash !== null ? { "File-Hash": upload.hash } : { "Upload-Expires": expiresHeader(upload) }),
  };
}

/**
 * Bytes that are all here make a file, or a part of one, even if whoever sent the last of them never got to it. If somebody is
 * at it still, what is left to seal is taken over from there, as any append would: it is a chunk at most, and a client that
 * asks has mostly lost the connection on which it was being done.
 */
async function finishIfWhole(
  uploads: Uploads,
  token: string,
  upload: Upload,
  caller: Caller,
): Promise<Upload> {
  if (upload.stage !== "receiving" || upload.offset !== upload.length) return upload;
  try {
    if (upload.tail) await sealLast(uploads, token, upload); // its length was declared late, and no more than that
    await finishUpload(uploads, token, upload, caller);
  } catch (error) {
    // Another request is at it, or its last chunk is not stored yet: the next HEAD tells.
    if (!(error instanceof VaultError) || !["UPLOAD_INCOMPLETE", "UPLOAD_TAKEN_OVER"].includes(error.code))
      throw error;
  }
  return uploads.find(token);
}
