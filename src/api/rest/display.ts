/**
 * What a browser may show of a file, and not only save. An allow-list: what is not known to be harmless is an attachment,
 * whatever its link says. A shown file is still sandboxed (no script, no origin, no form), and its type never sniffed.
 *
 * Not on the list: SVG, XML and HTML run scripts; PDF has forms, links and scripts, and browsers refuse to show one in
 * a sandbox anyway, so that leaving it out takes nothing away.
 */
import type { Disposition } from "../../core/model.js";
import { dispositionHeader, safeMediaType } from "./file-name.js";

const SHOWN = new Set([
  ...["avif", "bmp", "gif", "jpeg", "png", "webp"].map(type => `image/${type}`),
  ...["aac", "flac", "mp4", "mpeg", "ogg", "wav", "webm"].map(type => `audio/${type}`),
  ...["mp4", "ogg", "webm"].map(type => `video/${type}`),
  "text/plain",
]);

const SANDBOX = "sandbox; default-src 'none'";
/** A browser shows an image, audio or video by a page of its own making, which loads the very same address. */
const SHOW = `${SANDBOX}; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'`;

interface Displayed {
  readonly name: string;
  readonly mediaType: string;
}

/** The headers that tell a browser what to do with the file. */
export function displayHeaders(file: Displayed, wanted: Disposition): Record<string, string> {
  const mediaType = safeMediaType(file.mediaType);
  const isShown = wanted === "inline" && SHOWN.has(mediaType);
  return {
    "Content-Disposition": dispositionHeader(file.name, isShown ? "inline" : "attachment"),
    "Content-Security-Policy": isShown ? SHOW : SANDBOX,
    // A text without a charset is shown in one that depends on the reader's country.
    "Content-Type": isShown && mediaType === "text/plain" ? `${mediaType}; charset=utf-8` : mediaType,
  };
}
