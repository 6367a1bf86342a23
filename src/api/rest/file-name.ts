/** A name as an uploader gave it, made safe to be saved under: for one header line and for any file system. */
import { create } from "content-disposition";
import type { Disposition } from "../../core/model.js";

/** Most file systems take 255 bytes. */
const MAX_NAME_BYTES = 200;
const MAX_EXTENSION_LENGTH = 16;
const FALLBACK_NAME = "download";
/** Controls, line and paragraph separators, marks that turn the direction of what follows, and zero-width signs. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff]/gu;
/** What separates paths, or what Windows takes for itself. */
const SEPARATORS = /[/\\:*?"<>|]/g;
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,64}\/[a-z0-9!#$&^_.+-]{1,64}$/i;

/** `Content-Disposition`, with the name in RFC 8187 form where ASCII is not enough. */
export function dispositionHeader(name: string, type: Disposition): string {
  return create(safeName(name), { type });
}

export function safeName(name: string): string {
  const base = name
    .toWellFormed()
    .replace(/^.*[/\\]/s, "")
    .replace(UNSAFE, "")
    .replace(SEPARATORS, "_");
  const trimmed = base.replace(/^[. ]+|[. ]+$/g, ""); // hidden files, `..`, and what Windows drops
  return cut(trimmed).replace(/[. ]+$/, "") || FALLBACK_NAME;
}

/** The stored media type, if it is one. The parameters are dropped: they mean nothing to us. */
export function safeMediaType(mediaType: string): string {
  const [type = ""] = mediaType.split(";");
  return MEDIA_TYPE.test(type.trim()) ? type.trim().toLowerCase() : "application/octet-stream";
}

/** Cuts a name that is too long in the middle: the extension is what programs go by. */
function cut(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && name.length - dot <= MAX_EXTENSION_LENGTH ? name.slice(dot) : "";
  let stem = "";
  let bytes = Buffer.byteLength(extension);
  for (const character of name.slice(0, dot > 0 && extension ? dot : undefined)) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_NAME_BYTES) break;
    stem += character;
  }
  return stem + extension;
}
