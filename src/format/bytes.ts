/**
 * Fixed-width fields and their concatenation. Every integer of `sv/1` is unsigned and big-endian; labels
 * are ASCII and carry no length, which is unambiguous because whatever follows a label has a fixed length.
 */

import { timingSafeEqual } from "node:crypto";
import { assert, FormatError } from "./errors.js";

/** The concatenation `a ‖ b ‖ …` in memory of its own; a string stands for its UTF-8 bytes. */
export function concat(...parts: (Uint8Array | string)[]): Uint8Array {
  const bytes = parts.map(part => (typeof part === "string" ? Buffer.from(part, "utf8") : part));
  // A copy, because Buffer.concat may give a view of Node's shared pool, and such a view, posted to a worker thread,
  // takes the whole pool along, with the secrets of others in it.
  return new Uint8Array(Buffer.concat(bytes));
}

/**
 * Memory for `length` bytes that the caller overwrites entirely: not zeroed, not pooled, so it can be
 * transferred.
 */
export function allocate(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

/**
 * Frees what nobody looks at any more, now and not at the next collection: node:crypto allocates the output of each
 * segment, which at hundreds of megabytes a second is more than a collector notices in time. Only memory that is all
 * `bytes`' own is freed.
 */
export function release(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (!(buffer instanceof ArrayBuffer) || buffer.detached) return; // freed already
  if (buffer.byteLength === byteLength) buffer.transfer(0);
}

export function u8(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xff, `${value} is no u8`);
  return Uint8Array.of(value);
}

export function u32(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, `${value} is no u32`);
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

/** A u64 whose value stays a JavaScript number: at most 2^53 − 1. */
export function u64(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, `${value} is no u64 below 2^53`);
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, BigInt(value));
  return bytes;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return viewOf(bytes).getUint32(at);
}

/** Throws `FormatError` from 2^53 on: no size, count or time of `sv/1` is that large. */
export function readU64(bytes: Uint8Array, at: number): number {
  const value = Number(viewOf(bytes).getBigUint64(at));
  if (!Number.isSafeInteger(value)) throw new FormatError("a u64 is 2^53 or more");
  return value;
}

/** Equality in a time that does not depend on where the bytes differ; lengths are public. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
