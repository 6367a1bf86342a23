/** The one loop that all encoding and rebuilding comes down to. */
import type { Matrix } from "./matrix.js";
import { simdKernel } from "./simd-kernel.js";
import { tableKernel } from "./table-kernel.js";

/**
 * Sums of multiples of byte arrays over GF(2^8). `matrix` has a row for each output and a column for each input, of
 * which there is at least one; inputs and outputs together are at most 256. Inputs shorter than an output count as
 * zero-extended, and of longer ones only as much is read as the output has.
 */
export interface Kernel {
  /** outputs[j] ← Σ matrix[j][i] · inputs[i]. What was in the outputs is not looked at. */
  multiply(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void;
  /** outputs[j] ← outputs[j] + Σ matrix[j][i] · inputs[i]. */
  multiplyAdd(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void;
}

/** The fastest kernel that this machine can run; one for each thread, made when it is first needed. */
export function kernel(): Kernel {
  chosen ??= simdKernel() ?? tableKernel;
  return chosen;
}

let chosen: Kernel | undefined;
