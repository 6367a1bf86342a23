/**
 * The kernel in plain TypeScript: a table lookup for each byte. It is what runs where WebAssembly has no SIMD, and what
 * the fast kernel is compared with.
 */
import { byteAt, product } from "./gf256.js";
import type { Kernel } from "./kernel.js";
import type { Matrix } from "./matrix.js";

export const tableKernel: Kernel = {
  multiply(matrix, inputs, outputs) {
    for (const output of outputs) output.fill(0);
    addProducts(matrix, inputs, outputs);
  },
  multiplyAdd: addProducts,
};

function addProducts(matrix: Matrix, inputs: readonly Uint8Array[], outputs: readonly Uint8Array[]): void {
  for (const [j, row] of matrix.entries()) {
    const output = outputs[j];
    if (!output) continue;
    for (const [i, input] of inputs.entries()) addMultiple(output, byteAt(row, i), input);
  }
}

function addMultiple(output: Uint8Array, factor: number, input: Uint8Array): void {
  const multiples = multiplesOf(factor);
  const length = Math.min(output.length, input.length);
  for (let c = 0; c < length; c++) output[c] = byteAt(output, c) ^ byteAt(multiples, byteAt(input, c));
}

/** By factor; made when first needed, 64 KiB in all at most. */
const MULTIPLES: (Uint8Array | undefined)[] = new Array(256).fill(undefined);

/** `factor` times every byte. */
function multiplesOf(factor: number): Uint8Array {
  const multiples =
    MULTIPLES[factor] ?? Uint8Array.from({ length: 256 }, (_, value) => product(factor, value));
  MULTIPLES[factor] = multiples;
  return multiples;
}
