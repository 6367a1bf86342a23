/**
 * How a recovery manifest is found and recognised, by those who may and by nobody else.
 *
 * Its object key begins with 8 bytes that follow from the file's hash: who has the hash lists the bucket from there. A
 * manifest lies in several buckets, so each copy has a *slot*, and every slot another prefix: two keys that begin
 * alike would tell a thief of all buckets what they are.
 *
 * The operator, who kept `MAP_KEY`, recognises any manifest by its *mark*, and has hash and map key of its file in
 * *escrow*. Both are as random as the rest to everyone else, and truly random where no `MAP_KEY` is configured.
 */
import { randomBytes } from "node:crypto";
import { concat, sameBytes, u8 } from "./bytes.js";
import { assert } from "./errors.js";
import type { BoxKey } from "./gcm.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import { hkdfExpand } from "./hkdf.js";

/** Prefixes that one file's manifests may have, and its signposts. */
export const MANIFEST_SLOTS = 16;

export const MARK_BYTES = 16;
const HASH_BYTES = 32;
const MAP_KEY_BYTES = 32;
export const ESCROW_BYTES = HASH_BYTES + MAP_KEY_BYTES + BOX_OVERHEAD_BYTES;

const KEY_BYTES = 16;
const PREFIX_BYTES = 8;
const OBJECT_KEY = /^[0-9a-f]{32}$/;
const HASH = /^[0-9a-f]{64}$/;

/** What the operator's key gives for one file. */
export interface Escrow {
  readonly hash: string;
  readonly mapKey: Uint8Array;
}

/** The 16 hex digits that the keys of a file's manifests in this slot begin with. */
export function manifestPrefix(hash: string, slot: number): string {
  return slotPrefix(hashBytes(hash), "sv/1/manifest-name", slot);
}

/** A fresh key for a manifest in this slot. */
export function newManifestKey(hash: string, slot: number): string {
  return keyInSlot(manifestPrefix(hash, slot));
}

/** What the keys of objects begin with that whoever has `secret` finds in this slot. */
export function slotPrefix(secret: Uint8Array, label: string, slot: number): string {
  assert(Number.isInteger(slot) && slot >= 0 && slot < MANIFEST_SLOTS, `${slot} is no slot`);
  const prefix = hkdfExpand("sha256", secret, concat(label, u8(slot)), PREFIX_BYTES);
  return Buffer.from(prefix).toString("hex");
}

/** A fresh key that begins with `prefix`. */
export function keyInSlot(prefix: string): string {
  return prefix + randomBytes(KEY_BYTES - PREFIX_BYTES).toString("hex");
}

/** The mark of an object under the operator's key. */
export function markOf(operatorKey: Uint8Array, objectKey: string): Uint8Array {
  return operatorMark(operatorKey, "sv/1/manifest-mark", objectKey);
}

/** Whether an object that begins with these bytes is a manifest of the holder of `operatorKey`. */
export function hasMark(operatorKey: Uint8Array, objectKey: string, begin: Uint8Array): boolean {
  return sameBytes(markOf(operatorKey, objectKey), begin.subarray(0, MARK_BYTES));
}

export function sealEscrow(
  operatorKey: Uint8Array,
  objectKey: string,
  { hash, mapKey }: Escrow,
  iv: Uint8Array = randomBytes(IV_BYTES),
): Uint8Array {
  assert(mapKey.length === MAP_KEY_BYTES, "a map key has 32 bytes");
  const escrow = new Uint8Array(ESCROW_BYTES);
  sealBox(escrowKey(operatorKey, objectKey), iv, concat(hashBytes(hash), mapKey), escrow);
  return escrow;
}

/** Null unless it was sealed under this key for this object. */
export function openEscrow(operatorKey: Uint8Array, objectKey: string, escrow: Uint8Array): Escrow | null {
  const plain = openBox(escrowKey(operatorKey, objectKey), escrow);
  if (plain?.length !== HASH_BYTES + MAP_KEY_BYTES) return null;
  const hash = Buffer.from(plain.subarray(0, HASH_BYTES)).toString("hex");
  return { hash, mapKey: new Uint8Array(plain.subarray(HASH_BYTES)) };
}

/** Names an operator's key without saying anything of it: which key a manifest was last written under. */
export function operatorKeyId(operatorKey: Uint8Array): Uint8Array {
  return hkdfExpand("sha256", operatorKey, concat("sv/1/map-key-id"), 8);
}

export function objectKeyBytes(objectKey: string): Uint8Array {
  assert(OBJECT_KEY.test(objectKey), "an object key is 32 lowercase hex digits");
  return new Uint8Array(Buffer.from(objectKey, "hex"));
}

export function hashBytes(hash: string): Uint8Array {
  assert(HASH.test(hash), "a hash is 64 lowercase hex digits");
  return new Uint8Array(Buffer.from(hash, "hex"));
}

function escrowKey(operatorKey: Uint8Array, objectKey: string): BoxKey {
  return operatorBox(operatorKey, "sv/1/manifest-escrow", objectKey);
}

/** What an object begins with for the operator to recognise it. */
export function operatorMark(operatorKey: Uint8Array, label: string, objectKey: string): Uint8Array {
  return fromOperatorKey(operatorKey, label, objectKey, MARK_BYTES);
}

/** A key for each object, so that the number of files under one operator's key is not bounded by its random IVs. */
export function operatorBox(operatorKey: Uint8Array, label: string, objectKey: string): BoxKey {
  return {
    key: fromOperatorKey(operatorKey, label, objectKey, 32),
    aad: concat(label, objectKeyBytes(objectKey)),
  };
}

function fromOperatorKey(
  operatorKey: Uint8Array,
  label: string,
  objectKey: string,
  length: number,
): Uint8Array {
  assert(operatorKey.length === 32, "MAP_KEY has 32 bytes");
  return hkdfExpand("sha256", operatorKey, concat(label, objectKeyBytes(objectKey)), length);
}
