/**
 * What a manifest says of its file beside the core and the password wrap.
 *
 *     01 ‖ seal 32 ‖ k u8 ‖ m u8
 *     ‖ created u64 ‖ expires u64 ‖ retained until u64      milliseconds since 1970; 0: never
 *     ‖ downloads allowed u32 ‖ downloads so far u32        0 allowed: without limit
 *     ‖ length u32 ‖ sealed metadata
 *     ‖ count u16 ‖ for each bucket: number u16 ‖ length u16 ‖ name
 *     ‖ copies u8                                           0: the rows follow; else where the parts are
 *     ‖ rows, or for each part and copy: bucket number u16 ‖ object key 16
 *     ‖ padding
 */
import { concat, readU32, readU64, u32, u64, u8, viewOf } from "./bytes.js";
import { decodeCore } from "./core.js";
import { assert, FormatError } from "./errors.js";
import type { MapRow } from "./manifest-map.js";
import { decodeRows, encodeRows, MapShape } from "./manifest-map.js";
import { objectKeyBytes } from "./manifest-key.js";
import type { ParityProfile } from "./parity/code.js";

/** Where one copy of a part lies. */
export interface PartRef {
  readonly bucketId: number;
  readonly objectKey: string;
}

export interface ManifestBody {
  readonly seal: Uint8Array;
  readonly profile: ParityProfile;
  /** Times are in milliseconds since 1970. */
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly retainUntil: number | null;
  readonly maxDownloads: number | null;
  readonly downloadCount: number;
  /** The sealed metadata, as it is kept in the database. */
  readonly meta: Uint8Array;
  /** The buckets' names by their numbers in the map. */
  readonly buckets: ReadonlyMap<number, string>;
  /** The map itself, or for each part where its copies lie. */
  readonly map: { readonly rows: readonly MapRow[] } | { readonly parts: readonly (readonly PartRef[])[] };
}

const VERSION = 1;
const SEAL_BYTES = 32;
const FIXED_BYTES = 1 + SEAL_BYTES + 2 + 3 * 8 + 2 * 4;
const MAX_META_BYTES = 256 * 1024;
const MAX_COPIES = 255;
const REF_BYTES = 18;

/** Throws `FormatError` where core, profile and map do not agree. */
export function encodeBody(body: ManifestBody, core: Uint8Array): Uint8Array {
  const shape = new MapShape(decodeCore(core), body.profile);
  assert(body.seal.length === SEAL_BYTES, "a seal has 32 bytes");
  if (body.meta.length > MAX_META_BYTES) throw new FormatError(`metadata of ${body.meta.length} bytes`);
  return concat(
    u8(VERSION),
    body.seal,
    u8(body.profile.dataChunks),
    u8(body.profile.parityChunks),
    u64(body.createdAt),
    u64(body.expiresAt ?? 0),
    u64(body.retainUntil ?? 0),
    u32(body.maxDownloads ?? 0),
    u32(body.downloadCount),
    u32(body.meta.length),
    body.meta,
    encodeBuckets(body.buckets),
    encodeMap(body.map, shape),
  );
}

/** Throws `FormatError` for anything but what {@link encodeBody} writes, with padding behind it. */
export function decodeBody(bytes: Uint8Array, core: Uint8Array): ManifestBody {
  const reader = new Reader(bytes);
  const fixed = reader.take(FIXED_BYTES);
  if (fixed[0] !== VERSION) throw new FormatError(`a manifest of version ${fixed[0]}`);
  const at = 1 + SEAL_BYTES;
  const profile = { dataChunks: fixed[at] ?? 0, parityChunks: fixed[at + 1] ?? 0 };
  const shape = new MapShape(decodeCore(core), profile);
  const metaBytes = readU32(reader.take(4), 0);
  if (metaBytes > MAX_META_BYTES) throw new FormatError(`metadata of ${metaBytes} bytes`);
  return {
    seal: fixed.slice(1, at),
    profile,
    createdAt: readU64(fixed, at + 2),
    expiresAt: readU64(fixed, at + 10) || null,
    retainUntil: readU64(fixed, at + 18) || null,
    maxDownloads: readU32(fixed, at + 26) || null,
    downloadCount: readU32(fixed, at + 30),
    meta: reader.take(metaBytes).slice(),
    buckets: decodeBuckets(reader),
    map: decodeMap(reader, shape),
  };
}

function encodeBuckets(buckets: ManifestBody["buckets"]): Uint8Array {
  const entries = [...buckets].map(([number, name]) => {
    const text = Buffer.from(name, "utf8");
    return concat(u16(number), u16(text.length), text);
  });
  return concat(u16(entries.length), ...entries);
}

function decodeBuckets(reader: Reader): Map<number, string> {
  const buckets = new Map<number, string>();
  for (let left = reader.u16(); left > 0; left--) {
    const number = reader.u16();
    buckets.set(number, utf8(reader.take(reader.u16())));
  }
  return buckets;
}

function encodeMap(map: ManifestBody["map"], shape: MapShape): Uint8Array {
  if ("rows" in map) {
    if (shape.partCount > 0 || map.rows.length !== shape.rowCount) {
      throw new FormatError(`${map.rows.length} rows of a map of ${shape.rowCount}`);
    }
    return concat(u8(0), encodeRows(map.rows));
  }
  const copies = map.parts[0]?.length ?? 0;
  if (map.parts.length !== shape.partCount || copies === 0 || copies > MAX_COPIES) {
    throw new FormatError(
      `${map.parts.length} parts, ${copies} copies of each, of a map of ${shape.partCount}`,
    );
  }
  if (map.parts.some(part => part.length !== copies))
    throw new FormatError("parts with unequal numbers of copies");
  const bytes = new Uint8Array(1 + map.parts.length * copies * REF_BYTES);
  bytes[0] = copies;
  for (const [i, { bucketId, objectKey }] of map.parts.flat().entries()) {
    bytes.set(u16(bucketId), 1 + i * REF_BYTES);
    bytes.set(objectKeyBytes(objectKey), 3 + i * REF_BYTES);
  }
  return bytes;
}

function decodeMap(reader: Reader, shape: MapShape): ManifestBody["map"] {
  const copies = reader.take(1)[0] ?? 0;
  if (copies > 0 !== shape.partCount > 0)
    throw new FormatError(`${copies} copies of ${shape.partCount} parts`);
  if (copies === 0) return { rows: decodeRows(reader.rest(), shape.rowCount) };
  const refOf = () => ({
    bucketId: reader.u16(),
    objectKey: Buffer.from(reader.take(REF_BYTES - 2)).toString("hex"),
  });
  const parts = Array.from({ length: shape.partCount }, () => Array.from({ length: copies }, refOf));
  return { parts };
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError("a bucket's name is not UTF-8", { cause });
  }
}

function u16(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffff, `${value} is no u16`);
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** Takes bytes from the front; throws `FormatError` where there are none left. */
class Reader {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.#at) throw new FormatError("a manifest ends too early");
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  u16(): number {
    return viewOf(this.take(2)).getUint16(0);
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.#at);
  }
}
