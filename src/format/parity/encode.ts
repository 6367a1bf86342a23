/** Data chunks of a stripe → its parity chunks: all at once, or one after the other as they are sealed. */
import { allocate } from "../bytes.js";
import { assert } from "../errors.js";
import type { ParityProfile } from "./code.js";
import { checkProfile, coefficient, coefficients } from "./code.js";
import { kernel } from "./kernel.js";

/**
 * Adds what data chunk `shard` contributes to the m parity chunks of its stripe. `into` are zeroed before the first
 * chunk and as long as the longest; after all data chunks, in any order and each exactly once, they are the parity
 * chunks. So a stripe never lies in memory whole.
 */
export function accumulate(
  profile: ParityProfile,
  shard: number,
  data: Uint8Array,
  into: readonly Uint8Array[],
): void {
  checkProfile(profile);
  const { dataChunks, parityChunks } = profile;
  assert(Number.isInteger(shard) && 0 <= shard && shard < dataChunks, `no data shard ${shard}`);
  assert(into.length === parityChunks, `${into.length} buffers for ${parityChunks} parity chunks`);
  assert(
    into.every(parity => parity.length >= data.length),
    "a parity chunk is as long as the longest data chunk",
  );
  kernel().multiplyAdd(
    into.map((_, j) => Uint8Array.of(coefficient(profile, dataChunks + j, shard))),
    [data],
    into.map(parity => parity.subarray(0, data.length)),
  );
}

/** The m parity chunks of a stripe, from its data chunks in order: k of them, or fewer for a last stripe. */
export function parityOf(profile: ParityProfile, data: readonly Uint8Array[]): Uint8Array<ArrayBuffer>[] {
  checkProfile(profile);
  const { dataChunks, parityChunks } = profile;
  assert(
    0 < data.length && data.length <= dataChunks,
    `${data.length} data chunks in a stripe of ${dataChunks}`,
  );
  const bytes = Math.max(...data.map(chunk => chunk.length));
  const parity = Array.from({ length: parityChunks }, () => allocate(bytes));
  const matrix = parity.map((_, j) => coefficients(profile, dataChunks + j, data.length));
  kernel().multiply(matrix, data, parity);
  return parity;
}
