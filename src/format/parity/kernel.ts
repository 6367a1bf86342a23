/** The one loop that all encoding and rebuilding comes down to. */
import type { Matrix } from "./matrix.js";
import { tableKernel } from "./table-kernel.js";

/**
 * Sums of multiples of byte arrays over GF(2^8). `matrix` has a row for each output and a column for each input. Inputs
 * shorter than an output count as zero-extended, and of longer ones only as much is read as the output has.
 */
export interface Kernel {
  /** outputs[j] ← Σ matrix[j][i] · inputs[i]. What was in the outputs is not looked at. */
  multiply(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void;
  /** outputs[j] ← outputs[j] + Σ matrix[j][i] · inputs[i]. */
  multiplyAdd(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void;
}

export function kernel(): Kernel {
  return tableKernel;
}
