/**
 * FLOE, Fast Lightweight Online Encryption: random-access authenticated encryption of a long message in
 * segments (https://c2sp.org/FLOE, ePrint 2025/2275), with its only parameters: AES-256-GCM,
 * HKDF-Expand-SHA-384, an IV of 32 bytes.
 *
 *     header 74   AEAD id 0 u8 ‖ KDF id 0 u8 ‖ S u32 ‖ IV length u32 ‖ IV 32 ‖ header tag 32
 *     segment S   FFFFFFFF, or the segment's own length if it is the last, u32 ‖ IV 12 ‖ ciphertext ‖ tag 16
 */

import type { KeyObject } from "node:crypto";
import { createSecretKey, randomBytes } from "node:crypto";
import { allocate, concat, readU32, release, sameBytes, u8, u32, u64, viewOf } from "./bytes.js";
import { assert, FormatError } from "./errors.js";
import { IV_BYTES, openBox, sealBox } from "./gcm.js";
import { hkdfExpand } from "./hkdf.js";
import { MAX_SEGMENTS, SEGMENT_OVERHEAD_BYTES } from "./layout.js";

export const FLOE_HEADER_BYTES = 74;

const PARAMS_BYTES = 10;
const FLOE_IV_BYTES = 32;
const HEADER_TAG_BYTES = 32;
const FLOE_KEY_BYTES = 32;
const MESSAGE_KEY_BYTES = 48; // KDF_KEY_LEN of HKDF-Expand-SHA-384
const SEGMENT_BYTES_AT = 2;
const LENGTH_WORD_BYTES = 4;
const NOT_LAST = 0xffff_ffff;

/** FLOE's AEAD_ROTATION_MASK for AES-256-GCM: a new AEAD key every 2^20 segments. */
const ROTATION_BITS = 20;

export interface FloeParams {
  /** S, ENC_SEG_LEN in the specification. */
  readonly segmentBytes: number;
  /** Always 20, except in known answers that rotate early to be short. */
  readonly rotationBits: number;
}

/**
 * A started message: plain data, and no view of shared memory, so that it can be posted to a worker thread.
 * Secret.
 */
export interface FloeMessage {
  readonly params: FloeParams;
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly messageKey: Uint8Array;
}

/** Begins a message under a fresh random IV (`iv` is for known answers). */
export function startMessage(
  key: Uint8Array,
  aad: Uint8Array,
  segmentBytes: number,
  iv: Uint8Array = randomBytes(FLOE_IV_BYTES),
): { header: Uint8Array; message: FloeMessage } {
  assert(iv.length === FLOE_IV_BYTES, "a FLOE IV has 32 bytes");
  const keyed = keyedBy(key, { params: { segmentBytes, rotationBits: ROTATION_BITS }, iv, aad });
  const header = concat(encodeParams(segmentBytes), iv, keyed.headerTag);
  return { header, message: keyed.message };
}

/**
 * Takes a message up again from its header. Throws `FormatError` unless `key`, `aad` and `header` belong
 * together.
 */
export function resumeMessage(
  key: Uint8Array,
  aad: Uint8Array,
  header: Uint8Array,
  rotationBits: number = ROTATION_BITS,
): FloeMessage {
  const segmentBytes = segmentBytesOf(header);
  const iv = header.subarray(PARAMS_BYTES, PARAMS_BYTES + FLOE_IV_BYTES);
  const keyed = keyedBy(key, { params: { segmentBytes, rotationBits }, iv, aad });
  if (!sameBytes(keyed.headerTag, header.subarray(-HEADER_TAG_BYTES))) {
    throw new FormatError("a FLOE header does not belong to this key and file");
  }
  return keyed.message;
}

/**
 * S as a header states it, not yet authenticated. Throws `FormatError` for a header of any other shape or
 * parameters.
 */
export function segmentBytesOf(header: Uint8Array): number {
  if (header.length !== FLOE_HEADER_BYTES) throw new FormatError(`a FLOE header of ${header.length} bytes`);
  const segmentBytes = readU32(header, SEGMENT_BYTES_AT);
  if (!isSegmentSize(segmentBytes)) throw new FormatError(`a FLOE segment size of ${segmentBytes}`);
  if (!sameBytes(header.subarray(0, PARAMS_BYTES), encodeParams(segmentBytes))) {
    throw new FormatError("a FLOE header with unknown parameters");
  }
  return segmentBytes;
}

/**
 * Seals `plain` as the segments from `position` on. Every segment but the message's last is full, and the
 * last is empty only where `plain` is. Each gets its own random IV, never a counter: a resumed upload may
 * seal one position twice with different bytes, and a repeated nonce breaks GCM completely. (`ivs` is for
 * known answers: 12 bytes for each segment.)
 */
export function sealSegments(
  message: FloeMessage,
  position: number,
  plain: Uint8Array,
  isLast: boolean,
  { ivs, into }: { readonly ivs?: Uint8Array; readonly into?: ArrayBuffer } = {},
): Uint8Array<ArrayBuffer> {
  const { segmentBytes } = message.params;
  const perSegment = segmentBytes - SEGMENT_OVERHEAD_BYTES;
  const count = isLast ? Math.max(1, Math.ceil(plain.length / perSegment)) : plain.length / perSegment;
  assert(Number.isInteger(count) && count > 0, "only the last segment of a message may be short");
  assertPositions(position, count);
  const random = ivs ?? randomBytes(count * IV_BYTES);
  assert(random.length === count * IV_BYTES, "each segment takes an IV of 12 bytes");

  const keyAt = segmentKeys(message);
  const sealedBytes = plain.length + count * SEGMENT_OVERHEAD_BYTES;
  assert(
    into === undefined || into.byteLength === sealedBytes,
    "sealed segments go into memory of their size",
  );
  const sealed = into ? new Uint8Array(into) : allocate(sealedBytes);
  for (let i = 0; i < count; i++) {
    const isFinal = isLast && i === count - 1;
    const segment = sealed.subarray(i * segmentBytes, (i + 1) * segmentBytes);
    viewOf(segment).setUint32(0, isFinal ? segment.length : NOT_LAST);
    sealBox(
      { key: keyAt(position + i), aad: segmentAad(position + i, isFinal) },
      random.subarray(i * IV_BYTES, (i + 1) * IV_BYTES),
      plain.subarray(i * perSegment, (i + 1) * perSegment),
      segment.subarray(LENGTH_WORD_BYTES),
    );
  }
  return sealed;
}

/**
 * Opens whole segments from `position` on; `isLast` says that the final one is the message's last. Both must come
 * from something authenticated (the core), never from the storage that gave the bytes. Throws `FormatError` and
 * hands out nothing unless every segment is authentic and in its place. Opens as many segments as it is given: that
 * storage gave all of a `SegmentRead` is for the caller to check, by its length.
 */
export function openSegments(
  message: FloeMessage,
  position: number,
  stored: Uint8Array,
  isLast: boolean,
  allocateInto: (bytes: number) => Uint8Array<ArrayBuffer> = allocate,
): Uint8Array<ArrayBuffer> {
  const { segmentBytes } = message.params;
  const perSegment = segmentBytes - SEGMENT_OVERHEAD_BYTES;
  const count = Math.ceil(stored.length / segmentBytes);
  const finalBytes = stored.length - (count - 1) * segmentBytes;
  if (count === 0 || finalBytes < (isLast ? SEGMENT_OVERHEAD_BYTES : segmentBytes)) {
    throw new FormatError(`segments from ${position} on are cut short`);
  }
  assertPositions(position, count);

  const keyAt = segmentKeys(message);
  const opened = allocateInto(stored.length - count * SEGMENT_OVERHEAD_BYTES);
  for (let i = 0; i < count; i++) {
    const isFinal = isLast && i === count - 1;
    const segment = stored.subarray(i * segmentBytes, (i + 1) * segmentBytes);
    const aad = segmentAad(position + i, isFinal);
    const hasLength = readU32(segment, 0) === (isFinal ? segment.length : NOT_LAST);
    const plain =
      hasLength && openBox({ key: keyAt(position + i), aad }, segment.subarray(LENGTH_WORD_BYTES));
    if (!plain) throw new FormatError(`segment ${position + i} is not authentic`);
    opened.set(plain, i * perSegment);
    release(plain);
  }
  return opened;
}

/**
 * Both values that a key gives a message under its IV and AAD: the header's tag, and the key of everything
 * else.
 */
function keyedBy(
  key: Uint8Array,
  { params, iv, aad }: Omit<FloeMessage, "messageKey">,
): { headerTag: Uint8Array; message: FloeMessage } {
  assert(key.length === FLOE_KEY_BYTES, "a FLOE key has 32 bytes");
  const context = { params, iv: new Uint8Array(iv), aad: new Uint8Array(aad) }; // copies: see FloeMessage
  return {
    headerTag: floeKdf(key, context, "HEADER_TAG:", HEADER_TAG_BYTES),
    message: { ...context, messageKey: floeKdf(key, context, "MESSAGE_KEY:", MESSAGE_KEY_BYTES) },
  };
}

/**
 * FLOE_KDF. Purposes need no length: each ends in its only colon, and `DEK:` is followed by exactly 8
 * bytes.
 */
function floeKdf(
  key: Uint8Array,
  { params, iv, aad }: Omit<FloeMessage, "messageKey">,
  purpose: Uint8Array | string,
  length: number,
): Uint8Array {
  return hkdfExpand("sha384", key, concat(encodeParams(params.segmentBytes), iv, purpose, aad), length);
}

/** The AEAD key of each position, derived again only where the position's high bits (its epoch) change. */
function segmentKeys(message: FloeMessage): (position: number) => KeyObject {
  let cached: { epoch: number; key: KeyObject } | undefined;
  return position => {
    // Not with bit operators, which stop at 32 bits.
    const epoch = position - (position % 2 ** message.params.rotationBits);
    if (cached?.epoch !== epoch) {
      const key = floeKdf(message.messageKey, message, concat("DEK:", u64(epoch)), 32);
      cached = { epoch, key: createSecretKey(key) };
    }
    return cached.key;
  };
}

function segmentAad(position: number, isFinal: boolean): Uint8Array {
  return concat(u64(position), u8(isFinal ? 1 : 0));
}

/** PARAM_ENCODE: both ids are 0, for AES-256-GCM and HKDF-Expand-SHA-384. */
function encodeParams(segmentBytes: number): Uint8Array {
  assert(isSegmentSize(segmentBytes), `${segmentBytes} is not a segment size`);
  return concat(u8(0), u8(0), u32(segmentBytes), u32(FLOE_IV_BYTES));
}

/** Room for at least one plain byte; and below the word that means "not the last". */
function isSegmentSize(segmentBytes: number): boolean {
  return segmentBytes > SEGMENT_OVERHEAD_BYTES && segmentBytes < NOT_LAST;
}

function assertPositions(position: number, count: number): void {
  assert(Number.isSafeInteger(position) && position >= 0, "a position counts segments from 0");
  assert(position + count <= MAX_SEGMENTS, "a message has at most 2^40 segments");
}
