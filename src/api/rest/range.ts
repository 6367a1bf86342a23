/** Which bytes of a file a request asks for (RFC 9110 §13, §14): pure, so that the table of cases is a test. */
import type { IncomingHttpHeaders } from "node:http";
import { VaultError } from "../../core/errors.js";

/** One range. Several at once are answered with the whole file, as the RFC allows: they are mostly an attack. */
const SINGLE_RANGE = /^bytes=(?:(?<first>\d{1,16})-(?<last>\d{0,16})|-(?<suffix>\d{1,16}))$/i;

/** Plain bytes `start` … `end`, the end exclusive. */
export interface RequestedRange {
  readonly start: number;
  readonly end: number;
  readonly isPartial: boolean;
}

/** Throws RANGE_NOT_SATISFIABLE. What is no range of bytes is ignored, and so is one for another version of the file. */
export function requestedRange(headers: IncomingHttpHeaders, etag: string, size: number): RequestedRange {
  const whole = { start: 0, end: size, isPartial: false };
  const ifRange = headers["if-range"];
  // A date never matches: files have no Last-Modified, and If-Range wants a strong validator.
  if (ifRange !== undefined && ifRange !== etag) return whole;
  const { first, last, suffix } = SINGLE_RANGE.exec(headers.range ?? "")?.groups ?? {};
  if (suffix !== undefined) return within(Math.max(0, size - Number(suffix)), size, size);
  if (first === undefined) return whole;
  if (last && Number(last) < Number(first)) return whole; // not a range: RFC 9110 §14.1.1
  return within(Number(first), last ? Math.min(Number(last) + 1, size) : size, size);
}

/** Whether the client has the file already: If-None-Match, by weak comparison. */
export function isUnchanged(headers: IncomingHttpHeaders, etag: string): boolean {
  const tags = headers["if-none-match"]?.split(",").map(tag => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}

function within(start: number, end: number, size: number): RequestedRange {
  if (start < end) return { start, end, isPartial: true };
  throw new VaultError("RANGE_NOT_SATISFIABLE", `no byte in the range of ${size}`, { facts: { size } });
}
