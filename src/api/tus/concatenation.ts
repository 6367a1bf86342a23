/**
 * The concatenation extension, which @tus/server 2.4 answers with 501. Parts are sealed on their own, so the whole is
 * made by opening and sealing them again, as a stream: at once where it is small, else in the background, and then the
 * whole's HEAD tells when it is done (and drives it on, on whichever replica it is asked, if the first one died).
 */
import type { Concatenations } from "../../core/concat.js";
import type { Caller } from "../../core/model.js";
import type { Uploads } from "../../core/uploads.js";
import { badRequest } from "../errors.js";
import type { HeaderOf } from "./creation.js";
import { creationOf, FINAL } from "./creation.js";
import { expiresHeader } from "./store.js";

/** A whole of at most this many bytes is there when its creation is answered. */
const AT_ONCE_BYTES = 64 * 1024 * 1024;

export interface ConcatenationDeps {
  readonly uploads: Uploads;
  readonly concatenations: Concatenations;
  publicUrl(): string;
}

/** The headers that answer `Upload-Concat: final;…`. */
export async function concatenate(
  { uploads, concatenations, publicUrl }: ConcatenationDeps,
  header: HeaderOf,
  caller: Caller,
): Promise<Record<string, string>> {
  if (header("upload-length") !== undefined) {
    throw badRequest("A final upload has the length of its parts: leave Upload-Length out.", "Upload-Length");
  }
  const parts = (header("upload-concat") ?? "").slice(FINAL.length).split(" ").filter(Boolean).map(tokenOf);
  const { upload, token } = await concatenations.begin(parts, creationOf(header), caller);
  const location = { Location: `${publicUrl()}/files/${token}` };
  const isSmall = (upload.length ?? 0) <= AT_ONCE_BYTES;
  const file = isSmall ? await concatenations.proceedOrStop(token, caller) : null;
  if (file) return { ...location, "File-Hash": file.hash };
  if (!isSmall) concatenations.proceedInBackground(token);
  return { ...location, "Upload-Expires": expiresHeader(await uploads.find(token)) };
}

/** The token at the end of a part's URL, absolute or relative. */
function tokenOf(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}
