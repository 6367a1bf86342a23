/**
 * The recovery manifest: what the database knows of a file, as an object that lies in several buckets. With the hash and
 * the password it gives the file back; with the operator's key it gives the database's rows back.
 *
 *     mark 16 ‖ escrow 92          for the operator (manifest-key.ts)
 *     head 342   box under the hash      revision, core, password wrap: what a password is needed for
 *     body       box under the map key   everything else, the chunk map with it (manifest-body.ts)
 *
 * To anyone else all of it is random. Every part is bound to the object's key, and the body to every byte before it.
 */
import { createHash, randomBytes, randomInt } from "node:crypto";
import { concat, readU64, u64 } from "./bytes.js";
import { CORE_BYTES, hashOf } from "./core.js";
import { assert, FormatError } from "./errors.js";
import type { BoxKey } from "./gcm.js";
import { BOX_OVERHEAD_BYTES, IV_BYTES, openBox, sealBox } from "./gcm.js";
import { hkdfExpand } from "./hkdf.js";
import type { ManifestBody } from "./manifest-body.js";
import { decodeBody, encodeBody } from "./manifest-body.js";
import { ESCROW_BYTES, hashBytes, MARK_BYTES, markOf, objectKeyBytes, sealEscrow } from "./manifest-key.js";

/** What the hash alone opens. */
export interface ManifestHead {
  /** Counts the changes of the file: of several manifests the one with the highest is the newest. */
  readonly revision: number;
  readonly core: Uint8Array;
  /** The password wrap. */
  readonly wrap: Uint8Array;
}

export interface Manifest {
  readonly head: ManifestHead;
  readonly body: ManifestBody;
}

interface SealArgs {
  readonly objectKey: string;
  /** The file's map key, `mapKey(dek)`. */
  readonly mapKey: Uint8Array;
  /** `MAP_KEY`; null: none is configured. */
  readonly operatorKey: Uint8Array | null;
}

/** What is drawn at random, where a known answer is to be made again. */
export interface ManifestRandom {
  /** In place of mark and escrow where there is no operator's key. */
  readonly noise: Uint8Array;
  readonly escrowIv: Uint8Array;
  readonly headIv: Uint8Array;
  readonly bodyIv: Uint8Array;
  readonly paddingBytes: number;
}

const WRAP_BYTES = 118;
const REVISION_BYTES = 8;
const HEAD_AT = MARK_BYTES + ESCROW_BYTES;
const HEAD_BYTES = REVISION_BYTES + CORE_BYTES + WRAP_BYTES + BOX_OVERHEAD_BYTES;
const BODY_AT = HEAD_AT + HEAD_BYTES;
/** Zeros at the end, up to this many, so that a manifest's size does not tell what it is. */
const MAX_PADDING_BYTES = 4096;
/** Of one object: the largest that any bucket is asked to hold. */
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

/** Throws `FormatError` for a manifest that is too large, or that no reader would take. */
export function sealManifest(args: SealArgs, manifest: Manifest, drawn = draw()): Uint8Array {
  const { objectKey, mapKey, operatorKey } = args;
  const { revision, core, wrap } = manifest.head;
  assert(
    core.length === CORE_BYTES && wrap.length === WRAP_BYTES,
    "core and password wrap have fixed lengths",
  );
  const hash = hashOf(core);
  const body = concat(encodeBody(manifest.body, core), new Uint8Array(drawn.paddingBytes));
  const object = new Uint8Array(BODY_AT + body.length + BOX_OVERHEAD_BYTES);
  if (object.length > MAX_MANIFEST_BYTES) throw new FormatError(`a manifest of ${object.length} bytes`);
  if (operatorKey) {
    object.set(markOf(operatorKey, objectKey));
    object.set(sealEscrow(operatorKey, objectKey, { hash, mapKey }, drawn.escrowIv), MARK_BYTES);
  } else {
    object.set(drawn.noise);
  }
  const head = concat(u64(revision), core, wrap);
  sealBox(headBox(hash, objectKey), drawn.headIv, head, object.subarray(HEAD_AT, BODY_AT));
  sealBox(bodyBox(mapKey, objectKey, object), drawn.bodyIv, body, object.subarray(BODY_AT));
  return object;
}

/** Throws `FormatError` unless the object is a manifest of the file with this hash. */
export function openHead(hash: string, objectKey: string, object: Uint8Array): ManifestHead {
  const head =
    object.length > BODY_AT && openBox(headBox(hash, objectKey), object.subarray(HEAD_AT, BODY_AT));
  if (!head) throw new FormatError("a manifest's head is not authentic, or of another file");
  const core = new Uint8Array(head.subarray(REVISION_BYTES, REVISION_BYTES + CORE_BYTES));
  if (hashOf(core) !== hash) throw new FormatError("a manifest holds the core of another file");
  return {
    revision: readU64(head, 0),
    core,
    wrap: new Uint8Array(head.subarray(REVISION_BYTES + CORE_BYTES)),
  };
}

/** Throws `FormatError` unless every byte of the object is as the holder of the map key wrote it. */
export function openBody(
  mapKey: Uint8Array,
  objectKey: string,
  object: Uint8Array,
  core: Uint8Array,
): ManifestBody {
  const body =
    object.length > BODY_AT && openBox(bodyBox(mapKey, objectKey, object), object.subarray(BODY_AT));
  if (!body) throw new FormatError("a manifest's body is not authentic");
  return decodeBody(body, core);
}

/** What {@link openEscrow} takes. */
export function escrowOf(object: Uint8Array): Uint8Array {
  return object.subarray(MARK_BYTES, HEAD_AT);
}

function headBox(hash: string, objectKey: string): BoxKey {
  const key = objectKeyBytes(objectKey);
  return {
    key: hkdfExpand("sha256", hashBytes(hash), concat("sv/1/manifest-head", key), 32),
    aad: concat("sv/1/manifest-head", key),
  };
}

function bodyBox(mapKey: Uint8Array, objectKey: string, object: Uint8Array): BoxKey {
  const before = createHash("sha256").update(object.subarray(0, BODY_AT)).digest();
  return { key: mapKey, aad: concat("sv/1/manifest-body", objectKeyBytes(objectKey), before) };
}

function draw(): ManifestRandom {
  return {
    noise: randomBytes(HEAD_AT),
    escrowIv: randomBytes(IV_BYTES),
    headIv: randomBytes(IV_BYTES),
    bodyIv: randomBytes(IV_BYTES),
    paddingBytes: randomInt(MAX_PADDING_BYTES),
  };
}
