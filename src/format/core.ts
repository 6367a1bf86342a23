/**
 * The core: all that fixes a file's ciphertext, its key and its layout, in 188 bytes. The public hash is
 * its SHA-256, and whoever holds the DEK can tell from the seal that nobody has replaced it.
 *
 *     SCVT ‖ version 01 ‖ flags u8 ‖ S u32 ‖ C u64 ‖ plaintext length u64 ‖ chunk count u64
 *          ‖ fileId 16 ‖ FLOE header 74 ‖ commit 32 ‖ root 32
 */

import { createHash, createHmac } from "node:crypto";
import { concat, readU32, readU64, sameBytes, u8, u32, u64 } from "./bytes.js";
import { assert, FormatError } from "./errors.js";
import { FLOE_HEADER_BYTES, segmentBytesOf } from "./floe.js";
import type { FileId } from "./id.js";
import { idBytes, idFromBytes } from "./id.js";
import { commitment, sealKey } from "./keys.js";
import { chunkCount, layoutFor } from "./layout.js";

export interface FileCore {
  /** Always 0 in `sv/1`. */
  readonly flags: number;
  readonly segmentBytes: number;
  readonly chunkBytes: number;
  readonly plainBytes: number;
  /** Of data chunks. */
  readonly chunkCount: number;
  readonly fileId: FileId;
  readonly floeHeader: Uint8Array;
  /** `commitment(dek)`. */
  readonly commit: Uint8Array;
  /** `RootHasher.root()` over the digests of all data objects. */
  readonly root: Uint8Array;
}

export const CORE_BYTES = 188;

const MAGIC_AND_VERSION = concat("SCVT", u8(1));
const DIGEST_BYTES = 32;
const AT = {
  flags: 5,
  segment: 6,
  chunk: 10,
  plain: 18,
  count: 26,
  id: 34,
  header: 50,
  commit: 124,
  root: 156,
};

/**
 * Throws `FormatError`, as `decodeCore` would, for a core whose fields do not agree: no file gets a hash
 * that cannot open.
 */
export function encodeCore(core: FileCore): Uint8Array {
  checkAgreement(core);
  assert(
    core.commit.length === DIGEST_BYTES && core.root.length === DIGEST_BYTES,
    "commit and root have 32 bytes",
  );
  return concat(
    MAGIC_AND_VERSION,
    u8(core.flags),
    u32(core.segmentBytes),
    u64(core.chunkBytes),
    u64(core.plainBytes),
    u64(core.chunkCount),
    idBytes(core.fileId),
    core.floeHeader,
    core.commit,
    core.root,
  );
}

/**
 * Throws `FormatError` unless the bytes are a core whose fields agree. They are authentic only after
 * `checkSeal`.
 */
export function decodeCore(bytes: Uint8Array): FileCore {
  if (bytes.length !== CORE_BYTES) throw new FormatError(`a core of ${bytes.length} bytes`);
  if (!sameBytes(bytes.subarray(0, AT.flags), MAGIC_AND_VERSION)) {
    throw new FormatError("neither a core nor of version 1");
  }
  const core: FileCore = {
    flags: bytes[AT.flags] ?? 0,
    segmentBytes: readU32(bytes, AT.segment),
    chunkBytes: readU64(bytes, AT.chunk),
    plainBytes: readU64(bytes, AT.plain),
    chunkCount: readU64(bytes, AT.count),
    fileId: idFromBytes(bytes.subarray(AT.id, AT.header)),
    floeHeader: bytes.slice(AT.header, AT.header + FLOE_HEADER_BYTES),
    commit: bytes.slice(AT.commit, AT.root),
    root: bytes.slice(AT.root),
  };
  checkAgreement(core);
  return core;
}

/** HMAC-SHA-256 of the encoded core under a key that only the DEK gives. */
export function sealOf(dek: Uint8Array, coreBytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("sha256", sealKey(dek)).update(coreBytes).digest());
}

/**
 * Whether the holder of this DEK sealed exactly this core, and the core commits to this DEK. In constant
 * time.
 */
export function checkSeal(dek: Uint8Array, coreBytes: Uint8Array, seal: Uint8Array): boolean {
  const isSealed = sameBytes(sealOf(dek, coreBytes), seal);
  const isCommitted = sameBytes(commitment(dek), coreBytes.subarray(AT.commit, AT.root));
  return isSealed && isCommitted;
}

/** The file's public name: 64 hex digits. */
export function hashOf(coreBytes: Uint8Array): string {
  return createHash("sha256").update("sv/1/hash").update(coreBytes).digest("hex");
}

/** SHA-256 of one stored object; scrub and repair need no more. */
export function digestOf(object: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(object).digest());
}

/**
 * SHA-256(`sv/1/root` ‖ digests of the data objects, in order). Flat: its length is authenticated by the
 * core's count.
 */
export class RootHasher {
  readonly #hash = createHash("sha256").update("sv/1/root");

  add(digest: Uint8Array): void {
    assert(digest.length === DIGEST_BYTES, "a digest has 32 bytes");
    this.#hash.update(digest);
  }

  /** The root of the digests added so far; more may follow. */
  root(): Uint8Array {
    return new Uint8Array(this.#hash.copy().digest());
  }
}

/**
 * One file, one core: a layout that `layoutFor` would give, the count that follows, and the same S in the
 * FLOE header.
 */
function checkAgreement(core: FileCore): void {
  if (core.flags !== 0) throw new FormatError(`a core with unknown flags ${core.flags}`);
  const layout = layoutFor(core.chunkBytes);
  if (layout.chunkBytes !== core.chunkBytes || layout.segmentBytes !== core.segmentBytes) {
    throw new FormatError(`no layout has chunks of ${core.chunkBytes} in segments of ${core.segmentBytes}`);
  }
  if (core.chunkCount !== chunkCount(layout, core.plainBytes)) {
    throw new FormatError(`${core.chunkCount} chunks do not hold exactly ${core.plainBytes} bytes`);
  }
  if (segmentBytesOf(core.floeHeader) !== core.segmentBytes) {
    throw new FormatError("a core and its FLOE header disagree on the segment size");
  }
}
