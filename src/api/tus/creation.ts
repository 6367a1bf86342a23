/** POST: from the headers of a creation request to a begun upload; and the end of one whose bytes have all come. */
import { VaultError } from "../../core/errors.js";
import type { Caller, Upload } from "../../core/model.js";
import type { BeginUpload, BegunUpload } from "../../core/upload-inputs.js";
import type { Uploads } from "../../core/uploads.js";
import { badRequest } from "../errors.js";
import { utf8Of } from "../utf8.js";
import { parseMetadata } from "./metadata.js";

/** Reads one header of a request. */
export type HeaderOf = (name: string) => string | undefined;

const PARTIAL = "partial";
export const FINAL = "final;";

/** What every creation says beside its length. Throws BAD_REQUEST, MISSING_PASSWORD. */
export function creationOf(header: HeaderOf): Omit<BeginUpload, "length"> {
  const uploadConcat = header("upload-concat") ?? null;
  const uploadMetadata = header("upload-metadata") ?? null;
  const password = uploadConcat === PARTIAL ? null : passwordOf(header);
  return { ...parseMetadata(uploadMetadata ?? ""), password, facts: { uploadMetadata, uploadConcat } };
}

/** Begins an upload, or a part of one. */
export function beginUpload(uploads: Uploads, header: HeaderOf, caller: Caller): Promise<BegunUpload> {
  const length = header("upload-length");
  return uploads.begin(
    { ...creationOf(header), length: length === undefined ? null : Number(length) },
    caller,
  );
}

/**
 * Makes a file of an upload whose last byte has come, and returns its hash; null for a part, which never is a file.
 * An empty upload, whose one PATCH would have no byte, is sealed here. `upload` may have been read before its bytes came.
 */
export async function finishUpload(
  uploads: Uploads,
  token: string,
  upload: Upload,
  caller: Caller,
): Promise<string | null> {
  if (upload.length === 0) await sealLast(uploads, token, upload);
  if (uploads.factsOf(token, upload).uploadConcat === PARTIAL) return null;
  return (await uploads.finish(token, {}, caller)).hash;
}

/**
 * Seals what is there as the last, where no byte is left to come that would have it done; unless another request has made a
 * file of it meanwhile.
 */
export async function sealLast(uploads: Uploads, token: string, { offset }: Upload): Promise<void> {
  try {
    await uploads.append(token, offset, nothing(), { lastByte: "by-length", announcedBytes: 0 });
  } catch (error) {
    if (!(error instanceof VaultError) || error.code !== "UPLOAD_ALREADY_FINISHED") throw error;
  }
}

/** A part has no password: only the whole becomes a file. */
function passwordOf(header: HeaderOf): string {
  const encoded = header("upload-password");
  if (encoded === undefined || encoded === "") {
    throw new VaultError("MISSING_PASSWORD", "a creation without Upload-Password", {
      field: "Upload-Password",
    });
  }
  const bytes = Buffer.from(encoded, "base64");
  const password = bytes.toString("base64") === encoded ? utf8Of(bytes) : null;
  if (password !== null) return password;
  throw badRequest("Upload-Password is the password in UTF-8, encoded in base64.", "Upload-Password");
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
