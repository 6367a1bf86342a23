/** `Upload-Metadata`: what a client may say of its file, as the protocol writes it, and what of it means something here. */
import type { FileTerms } from "../../core/model.js";
import { badRequest } from "../errors.js";
import { wholeNumber } from "../whole-number.js";

const MAX_BYTES = 4096;
const KEY = /^[\x21-\x2b\x2d-\x7e]+$/; // printable ASCII, no space and no comma

export interface UploadMetadata {
  readonly name: string;
  readonly mediaType: string;
  readonly chunkBytes: number | null;
  readonly terms: FileTerms;
}

/** Throws BAD_REQUEST, CHUNK_SIZE_OUT_OF_RANGE and the like come later, from core. */
export function parseMetadata(header: string | undefined): UploadMetadata {
  const values = pairs(header ?? "");
  if (values.has("password")) {
    throw badRequest(
      "Upload-Metadata must not hold the password: tus clients keep metadata on the user's disk, and servers send it " +
        "back. Send it once, base64-encoded, in the header Upload-Password.",
      "password",
    );
  }
  const number = (key: string) => {
    const text = values.get(key);
    return text === undefined ? null : wholeNumber(text);
  };
  return {
    name: values.get("filename") || "unnamed",
    mediaType: values.get("filetype") || "application/octet-stream",
    chunkBytes: number("chunk_size"),
    terms: { expiresInSeconds: number("expires_in"), maxDownloads: number("max_downloads") },
  };
}

/** Keys and their decoded values. A map: `__proto__` is a key like any other. */
function pairs(header: string): Map<string, string> {
  if (Buffer.byteLength(header) > MAX_BYTES)
    throw badRequest(`Upload-Metadata may have at most ${MAX_BYTES} bytes.`);
  const values = new Map<string, string>();
  if (header.trim() === "") return values;
  for (const pair of header.split(",")) {
    const [key = "", value = "", ...rest] = pair.trim().split(" ");
    if (!KEY.test(key) || rest.length > 0 || values.has(key)) {
      throw badRequest(
        "Upload-Metadata is a comma-separated list of unique keys, each with a space and a base64 value.",
      );
    }
    const decoded = Buffer.from(value, "base64");
    if (decoded.toString("base64") !== value)
      throw badRequest(`The value of ${key} in Upload-Metadata is not base64.`);
    values.set(key, decoded.toString("utf8"));
  }
  return values;
}
