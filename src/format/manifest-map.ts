/**
 * A file's chunk map as a recovery manifest has it: 50 bytes a row, in the order (stripe, shard).
 *
 *     bucket number u16 ‖ object key 16 ‖ digest 32
 *
 * Everything else of a row follows from the core and the parity profile: there is a row for every chunk and none more.
 * Up to 16,384 rows stand in the manifest itself. The map of a larger file is cut into *parts*, objects of their own,
 * at borders of stripes, so that neither writer nor reader ever holds more than one.
 */
import { randomBytes, randomInt } from "node:crypto";
import { concat, u64, viewOf } from "./bytes.js";
import type { FileCore } from "./core.js";
import { assert, FormatError } from "./errors.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import { storedBytesOfChunk } from "./layout.js";
import { objectKeyBytes } from "./manifest-key.js";
import type { ParityProfile } from "./parity/code.js";
import { checkProfile } from "./parity/code.js";

export const ROW_BYTES = 50;
export const MAX_PART_ROWS = 16_384;
/** Zeros at the end, up to this many, so that a part's size does not tell what it is. */
const MAX_PART_PADDING_BYTES = 64 * 1024;
/** k is written as one byte. */
const MAX_DATA_CHUNKS = 255;
const KEY_AT = 2;
const DIGEST_AT = 18;

/** Where one chunk lies, by its bucket's number. */
export interface MapRow {
  readonly bucketId: number;
  readonly objectKey: string;
  readonly digest: Uint8Array;
}

/** Which chunk a row is about. */
export interface RowPlace {
  readonly stripe: number;
  readonly shard: number;
  readonly storedBytes: number;
}

/** The arithmetic of one file's chunk map. */
export class MapShape {
  readonly stripeCount: number;
  readonly rowCount: number;
  readonly partStripes: number;
  readonly partCount: number;
  readonly #stripeRows: number;

  /** Throws `FormatError` for a profile that no file has. */
  constructor(
    private readonly core: FileCore,
    private readonly profile: ParityProfile,
  ) {
    const { dataChunks: k, parityChunks: m } = profile;
    checkProfile(profile);
    if (k > MAX_DATA_CHUNKS) throw new FormatError(`a manifest has no room for stripes of ${k} data chunks`);
    this.#stripeRows = k + m;
    this.stripeCount = Math.ceil(core.chunkCount / k);
    this.rowCount = core.chunkCount + this.stripeCount * m;
    this.partStripes = Math.floor(MAX_PART_ROWS / this.#stripeRows);
    this.partCount = this.rowCount <= MAX_PART_ROWS ? 0 : Math.ceil(this.stripeCount / this.partStripes);
  }

  /** The first stripe of a part and the one after its last. */
  stripesOfPart(part: number): { from: number; to: number } {
    assert(part >= 0 && part < this.partCount, `a map of ${this.partCount} parts has no part ${part}`);
    const from = part * this.partStripes;
    return { from, to: Math.min(from + this.partStripes, this.stripeCount) };
  }

  /** Rows of the stripes `from` … `to`, the latter exclusive. */
  rowsIn(from: number, to: number): number {
    return to < this.stripeCount ? (to - from) * this.#stripeRows : this.rowCount - from * this.#stripeRows;
  }

  /** The places of those rows, in order. A parity chunk is as long as the longest, which is the first, of its stripe. */
  *places(from: number, to: number): Generator<RowPlace> {
    const { dataChunks: k, parityChunks: m } = this.profile;
    const bytesOf = (chunk: number) => storedBytesOfChunk(this.core, this.core.plainBytes, chunk);
    for (let stripe = from; stripe < to; stripe++) {
      const data = Math.min(k, this.core.chunkCount - stripe * k);
      for (let shard = 0; shard < data; shard++) {
        yield { stripe, shard, storedBytes: bytesOf(stripe * k + shard) };
      }
      for (let shard = k; shard < k + m; shard++) yield { stripe, shard, storedBytes: bytesOf(stripe * k) };
    }
  }
}

export function encodeRows(rows: readonly MapRow[]): Uint8Array {
  const bytes = new Uint8Array(rows.length * ROW_BYTES);
  const view = viewOf(bytes);
  for (const [i, { bucketId, objectKey, digest }] of rows.entries()) {
    assert(bucketId >= 0 && bucketId <= 0xffff, `${bucketId} is no bucket number`);
    assert(digest.length === ROW_BYTES - DIGEST_AT, "a digest has 32 bytes");
    const at = i * ROW_BYTES;
    view.setUint16(at, bucketId);
    bytes.set(objectKeyBytes(objectKey), at + KEY_AT);
    bytes.set(digest, at + DIGEST_AT);
  }
  return bytes;
}

/** Exactly `count` rows from the beginning of `bytes`. Throws `FormatError` where there are fewer. */
export function decodeRows(bytes: Uint8Array, count: number): MapRow[] {
  if (bytes.length < count * ROW_BYTES) throw new FormatError(`${bytes.length} bytes hold no ${count} rows`);
  const view = viewOf(bytes);
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => {
    const at = i * ROW_BYTES;
    return {
      bucketId: view.getUint16(at),
      objectKey: hex.toString("hex", at + KEY_AT, at + DIGEST_AT),
      digest: bytes.slice(at + DIGEST_AT, at + ROW_BYTES),
    };
  });
}

/** Which part of which file's map in which object. */
interface PartArgs {
  /** The file's map key, `mapKey(dek)`. */
  readonly mapKey: Uint8Array;
  readonly objectKey: string;
  readonly part: number;
}

/** Seals one part as an object. (`drawn` is for known answers.) */
export function sealPart(
  args: PartArgs,
  rows: readonly MapRow[],
  drawn: { iv: Uint8Array; paddingBytes: number } = {
    iv: randomBytes(IV_BYTES),
    paddingBytes: randomInt(MAX_PART_PADDING_BYTES),
  },
): Uint8Array {
  assert(rows.length <= MAX_PART_ROWS, `a part of ${rows.length} rows`);
  const plain = concat(encodeRows(rows), new Uint8Array(drawn.paddingBytes));
  const object = new Uint8Array(plain.length + BOX_OVERHEAD_BYTES);
  sealBox(partBox(args), drawn.iv, plain, object);
  return object;
}

/** Throws `FormatError` unless it is this part, whole, in this object. */
export function openPart(args: PartArgs, object: Uint8Array, rowCount: number): MapRow[] {
  const plain = openBox(partBox(args), object);
  if (!plain) throw new FormatError(`part ${args.part} of a manifest is not authentic`);
  return decodeRows(plain, rowCount);
}

function partBox({ mapKey, objectKey, part }: PartArgs) {
  return { key: mapKey, aad: concat("sv/1/map-part", objectKeyBytes(objectKey), u64(part)) };
}
