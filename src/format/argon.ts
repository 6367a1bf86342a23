/** From a password to the key of its wrap: Argon2id (RFC 9106), by OpenSSL inside Node ≥ 24.7. */

import { argon2, argon2Sync } from "node:crypto";
import { concat } from "./bytes.js";
import { assert, FormatError } from "./errors.js";
import type { FileId } from "./id.js";
import { idBytes } from "./id.js";

export interface ArgonCost {
  /** m, in KiB. */
  readonly memoryKiB: number;
  /** t. */
  readonly passes: number;
  /** p. Changes the result: it is a parameter of the function, not of the machine. */
  readonly lanes: number;
}

export interface PasswordParams extends ArgonCost {
  /** Which of the operator's peppers goes in as Argon2's secret; 0 means none. */
  readonly pepperId: number;
  readonly salt: Uint8Array;
}

export const SALT_BYTES = 16;

/** The second recommended option of RFC 9106 §4, for memory-constrained environments. */
export const DEFAULT_ARGON_COST: ArgonCost = { memoryKiB: 64 * 1024, passes: 3, lanes: 4 };

const MAX_MEMORY_KIB = 1024 * 1024;
const MAX_PASSES = 16;
const MAX_LANES = 16;
const KEY_BYTES = 32;

/**
 * Throws `FormatError` for a cost out of bounds. Applied to what is written and to what is read back: a
 * tampered record may not make the server spend memory or time without limit. The lower bound is RFC 9106's
 * own (m ≥ 8p), because old files must open.
 */
export function checkArgonCost({ memoryKiB, passes, lanes }: ArgonCost): void {
  const isWithin = (value: number, min: number, max: number) =>
    Number.isInteger(value) && value >= min && value <= max;
  if (!isWithin(lanes, 1, MAX_LANES) || !isWithin(passes, 1, MAX_PASSES)) {
    throw new FormatError(`Argon2id with ${passes} passes and ${lanes} lanes`);
  }
  if (!isWithin(memoryKiB, 8 * lanes, MAX_MEMORY_KIB))
    throw new FormatError(`Argon2id with ${memoryKiB} KiB`);
}

/**
 * The 32 bytes that wrap a DEK under `password`. NFKC, so that the same password typed on another system
 * is the same password. Runs on libuv's thread pool and holds `memoryKiB` meanwhile: the caller bounds how
 * many run at once.
 */
export async function passwordKey(
  password: string,
  params: PasswordParams,
  fileId: FileId,
  pepper?: Uint8Array,
): Promise<Uint8Array> {
  const input = argonInput(password, params, fileId, pepper);
  const key = await new Promise<Uint8Array>((resolve, reject) => {
    argon2("argon2id", input, (error, derived) => (error ? reject(error) : resolve(derived)));
  });
  return new Uint8Array(key);
}

/** {@link passwordKey} on the calling thread, which stands still meanwhile. */
export function passwordKeySync(
  password: string,
  params: PasswordParams,
  fileId: FileId,
  pepper?: Uint8Array,
): Uint8Array {
  return new Uint8Array(argon2Sync("argon2id", argonInput(password, params, fileId, pepper)));
}

function argonInput(password: string, params: PasswordParams, fileId: FileId, pepper?: Uint8Array) {
  checkArgonCost(params);
  assert(params.salt.length === SALT_BYTES, "a salt has 16 bytes");
  assert(
    (params.pepperId === 0) === (pepper === undefined),
    "pepperId 0, and only that, goes without a pepper",
  );
  return {
    // Lone surrogates have no UTF-8: they become U+FFFD, as every encoder would make them.
    message: Buffer.from(password.normalize("NFKC").toWellFormed(), "utf8"),
    nonce: params.salt,
    memory: params.memoryKiB,
    passes: params.passes,
    parallelism: params.lanes,
    associatedData: concat("sv/1/pw", idBytes(fileId)),
    tagLength: KEY_BYTES,
    ...(pepper && { secret: pepper }),
  };
}
