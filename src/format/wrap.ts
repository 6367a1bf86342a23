/**
 * Wraps: a DEK sealed under a password, a link token or an upload token. Fixed length for each kind,
 * checked first.
 *
 *     version 01 ‖ kind u8 ‖ params ‖ commit 32 ‖ IV 12 ‖ ciphertext 32 ‖ tag 16
 *
 * GCM alone lets one ciphertext open under several keys; whoever can plant such a record tests many
 * passwords with each try (Len, Grubbs, Ristenpart, "Partitioning Oracle Attacks", USENIX Security 2021).
 * `commit`, derived beside the KEK, ties a record to one key.
 */

import { randomBytes } from "node:crypto";
import type { PasswordParams } from "./argon.js";
import { checkArgonCost, SALT_BYTES } from "./argon.js";
import { concat, readU32, readU64, sameBytes, u8, u32, u64, viewOf } from "./bytes.js";
import { assert, FormatError } from "./errors.js";
import type { BoxKey } from "./gcm.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import { hkdfExpand } from "./hkdf.js";
import type { FileId } from "./id.js";
import { idBytes } from "./id.js";
import { DEK_BYTES } from "./keys.js";

export type WrapKind = "password" | "link" | "upload";

/** What a link's holder may do; part of the wrap, so that a changed database row opens nothing. */
export interface LinkParams {
  /** Unix time in seconds. */
  readonly notAfter: number;
  /** 0 means unlimited. */
  readonly maxUses: number;
}

export interface UploadParams {
  /** Unix time in seconds. */
  readonly notAfter: number;
}

const VERSION = 1;
const KINDS = {
  password: { id: 1, paramsBytes: 8 + SALT_BYTES },
  link: { id: 2, paramsBytes: 12 },
  upload: { id: 3, paramsBytes: 8 },
} satisfies Record<WrapKind, { id: number; paramsBytes: number }>;

const KDF_ARGON2ID = 1;
const PARAMS_AT = 2;
const COMMIT_BYTES = 32;
const IKM_BYTES = 32;
const KEK_BYTES = 32;

interface WrapArgs {
  readonly kind: WrapKind;
  readonly params: Uint8Array;
  /** 32 uniform bytes: `passwordKey` or `tokenKey`. */
  readonly ikm: Uint8Array;
  readonly fileId: FileId;
}

/** A new record that gives `dek` to the holder of `ikm`. (`iv` is for known answers.) */
export function wrapDek(args: WrapArgs & { readonly dek: Uint8Array; readonly iv?: Uint8Array }): Uint8Array {
  const { kind, params, dek, iv = randomBytes(IV_BYTES) } = args;
  assert(params.length === KINDS[kind].paramsBytes, `params of ${params.length} bytes in a ${kind} wrap`);
  assert(dek.length === DEK_BYTES, "a DEK has 32 bytes");
  const { commit, box } = keysOf(args);
  const sealed = new Uint8Array(DEK_BYTES + BOX_OVERHEAD_BYTES);
  sealBox(box, iv, dek, sealed);
  return concat(u8(VERSION), u8(KINDS[kind].id), params, commit, sealed);
}

/**
 * The DEK, or null when `ikm` is not the key of this record (which includes a record whose params or
 * commitment were changed: both look the same). Throws `FormatError` for a record that is malformed, or
 * damaged behind a commitment that matches.
 */
export function unwrapDek(
  args: Omit<WrapArgs, "params"> & { readonly record: Uint8Array },
): Uint8Array | null {
  const { kind, record, ikm, fileId } = args;
  const params = wrapParams(record, kind);
  const { commit, box } = keysOf({ kind, params, ikm, fileId });
  const commitAt = PARAMS_AT + params.length;
  if (!sameBytes(commit, record.subarray(commitAt, commitAt + COMMIT_BYTES))) return null;
  const dek = openBox(box, record.subarray(commitAt + COMMIT_BYTES));
  if (!dek) throw new FormatError(`a ${kind} wrap is damaged`);
  return new Uint8Array(dek);
}

/**
 * The params of a record, once its length, version and kind are right. They are authentic only after
 * `unwrapDek`.
 */
export function wrapParams(record: Uint8Array, kind: WrapKind): Uint8Array {
  const { id, paramsBytes } = KINDS[kind];
  if (record.length !== PARAMS_AT + paramsBytes + COMMIT_BYTES + DEK_BYTES + BOX_OVERHEAD_BYTES) {
    throw new FormatError(`a ${kind} wrap of ${record.length} bytes`);
  }
  if (record[0] !== VERSION || record[1] !== id) {
    throw new FormatError(`a wrap of version ${record[0]} and kind ${record[1]}, not a ${kind} wrap`);
  }
  return record.slice(PARAMS_AT, PARAMS_AT + paramsBytes);
}

/** `kdf 1 ‖ m KiB u32 ‖ t u8 ‖ p u8 ‖ pepperId u8 ‖ salt 16` */
export function encodePasswordParams(params: PasswordParams): Uint8Array {
  const { memoryKiB, passes, lanes, pepperId, salt } = params;
  checkArgonCost(params);
  assert(salt.length === SALT_BYTES, "a salt has 16 bytes");
  return concat(u8(KDF_ARGON2ID), u32(memoryKiB), u8(passes), u8(lanes), u8(pepperId), salt);
}

export function decodePasswordParams(bytes: Uint8Array): PasswordParams {
  checkLength(bytes, "password");
  const view = viewOf(bytes);
  if (view.getUint8(0) !== KDF_ARGON2ID) throw new FormatError(`unknown password KDF ${view.getUint8(0)}`);
  const cost = { memoryKiB: view.getUint32(1), passes: view.getUint8(5), lanes: view.getUint8(6) };
  checkArgonCost(cost);
  return { ...cost, pepperId: view.getUint8(7), salt: bytes.slice(8) };
}

/** `notAfter u64 ‖ maxUses u32` */
export function encodeLinkParams({ notAfter, maxUses }: LinkParams): Uint8Array {
  return concat(u64(notAfter), u32(maxUses));
}

export function decodeLinkParams(bytes: Uint8Array): LinkParams {
  checkLength(bytes, "link");
  return { notAfter: readU64(bytes, 0), maxUses: readU32(bytes, 8) };
}

/** `notAfter u64` */
export function encodeUploadParams({ notAfter }: UploadParams): Uint8Array {
  return u64(notAfter);
}

export function decodeUploadParams(bytes: Uint8Array): UploadParams {
  checkLength(bytes, "upload");
  return { notAfter: readU64(bytes, 0) };
}

/** KEK and commitment out of one expansion, bound to all that the record says in clear and to the file. */
function keysOf({ kind, params, ikm, fileId }: WrapArgs): { commit: Uint8Array; box: BoxKey } {
  assert(ikm.length === IKM_BYTES, "a wrap's ikm has 32 bytes");
  const context = concat(u8(VERSION), u8(KINDS[kind].id), params, idBytes(fileId));
  const keys = hkdfExpand("sha256", ikm, concat("sv/1/kek", context), KEK_BYTES + COMMIT_BYTES);
  return {
    commit: keys.slice(KEK_BYTES),
    box: { key: keys.slice(0, KEK_BYTES), aad: concat("sv/1/wrap", context) },
  };
}

function checkLength(params: Uint8Array, kind: WrapKind): void {
  if (params.length !== KINDS[kind].paramsBytes) {
    throw new FormatError(`${kind} params of ${params.length} bytes`);
  }
}
