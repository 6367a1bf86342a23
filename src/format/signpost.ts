/**
 * Signposts: objects that are found by a file's id and tell its hash. A manifest is found by the hash, which nobody can
 * know before the upload has become a file; so a database that still takes it for an upload learns from a signpost
 * alone what became of it (core/newer.ts).
 *
 *     mark 16 ‖ escrow 44        for the operator, who recognises it and reads the file id
 *     box under the file id      hash 32 ‖ padding
 *
 * Named as manifests are: 8 bytes that follow from the file id and a slot, and 8 random ones. The id is 16 random bytes, so
 * what is expanded from it is as good as random to everyone who does not have the database.
 */
import { randomBytes, randomInt } from "node:crypto";
import { concat, sameBytes } from "./bytes.js";
import type { BoxKey } from "./gcm.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import { hkdfExpand } from "./hkdf.js";
import type { FileId } from "./id.js";
import { FILE_ID_BYTES, idBytes, idFromBytes } from "./id.js";
import {
  hashBytes,
  keyInSlot,
  MARK_BYTES,
  objectKeyBytes,
  operatorBox,
  operatorMark,
  slotPrefix,
} from "./manifest-key.js";

const HASH_BYTES = 32;
const ESCROW_BYTES = FILE_ID_BYTES + BOX_OVERHEAD_BYTES;
const BOX_AT = MARK_BYTES + ESCROW_BYTES;
/** As large as a small file's manifest, and as various. */
const MIN_PADDING_BYTES = 512;
const MAX_PADDING_BYTES = 4096;
/** No signpost is larger. */
export const MAX_SIGNPOST_BYTES = BOX_AT + HASH_BYTES + MAX_PADDING_BYTES + BOX_OVERHEAD_BYTES;

interface SignpostArgs {
  readonly objectKey: string;
  readonly fileId: FileId;
  readonly hash: string;
  /** `MAP_KEY`; null: none is configured. */
  readonly operatorKey: Uint8Array | null;
}

/** What is drawn at random, where a known answer is to be made again. */
interface SignpostRandom {
  /** In place of mark and escrow where there is no operator's key. */
  readonly noise: Uint8Array;
  readonly escrowIv: Uint8Array;
  readonly iv: Uint8Array;
  readonly paddingBytes: number;
}

/** The 16 hex digits that the keys of a file's signposts in this slot begin with. */
export function signpostPrefix(fileId: FileId, slot: number): string {
  return slotPrefix(idBytes(fileId), "sv/1/signpost-name", slot);
}

/** A fresh key for a signpost in this slot. */
export function newSignpostKey(fileId: FileId, slot: number): string {
  return keyInSlot(signpostPrefix(fileId, slot));
}

export function sealSignpost(
  { objectKey, fileId, hash, operatorKey }: SignpostArgs,
  drawn: SignpostRandom = draw(),
): Uint8Array {
  const plain = concat(hashBytes(hash), new Uint8Array(drawn.paddingBytes));
  const object = new Uint8Array(BOX_AT + plain.length + BOX_OVERHEAD_BYTES);
  if (operatorKey) {
    object.set(signpostMark(operatorKey, objectKey));
    const escrow = object.subarray(MARK_BYTES, BOX_AT);
    sealBox(escrowKey(operatorKey, objectKey), drawn.escrowIv, idBytes(fileId), escrow);
  } else {
    object.set(drawn.noise);
  }
  sealBox(boxKey(fileId, objectKey), drawn.iv, plain, object.subarray(BOX_AT));
  return object;
}

/** The hash that the file with this id has; null: this is no signpost of it, or it is damaged. */
export function openSignpost(fileId: FileId, objectKey: string, object: Uint8Array): string | null {
  const plain = openBox(boxKey(fileId, objectKey), object.subarray(BOX_AT));
  if (!plain || plain.length < HASH_BYTES) return null;
  return Buffer.from(plain.subarray(0, HASH_BYTES)).toString("hex");
}

/** Whether an object that begins with these bytes is a signpost of the holder of `operatorKey`. */
export function isSignpost(operatorKey: Uint8Array, objectKey: string, begin: Uint8Array): boolean {
  return sameBytes(signpostMark(operatorKey, objectKey), begin.subarray(0, MARK_BYTES));
}

/** The id of the file that a signpost is of; null where its escrow is damaged. */
export function fileOfSignpost(
  operatorKey: Uint8Array,
  objectKey: string,
  object: Uint8Array,
): FileId | null {
  const id = openBox(escrowKey(operatorKey, objectKey), object.subarray(MARK_BYTES, BOX_AT));
  return id && idFromBytes(id);
}

function signpostMark(operatorKey: Uint8Array, objectKey: string): Uint8Array {
  return operatorMark(operatorKey, "sv/1/signpost-mark", objectKey);
}

function escrowKey(operatorKey: Uint8Array, objectKey: string): BoxKey {
  return operatorBox(operatorKey, "sv/1/signpost-escrow", objectKey);
}

function boxKey(fileId: FileId, objectKey: string): BoxKey {
  const aad = concat("sv/1/signpost", objectKeyBytes(objectKey));
  return { key: hkdfExpand("sha256", idBytes(fileId), aad, 32), aad };
}

function draw(): SignpostRandom {
  return {
    noise: randomBytes(BOX_AT),
    escrowIv: randomBytes(IV_BYTES),
    iv: randomBytes(IV_BYTES),
    paddingBytes: randomInt(MIN_PADDING_BYTES, MAX_PADDING_BYTES),
  };
}
