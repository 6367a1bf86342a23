/**
 * The kernel in WebAssembly (kernel.wat), about ten times as fast as the table kernel. Its memory is 512 KiB, made once for
 * each thread; arrays pass through it in blocks of columns, so it serves chunks of any size. What passes and may stay
 * there until the next call is stored bytes, which are ciphertext: no plaintext and no key ever comes here.
 */
import { product } from "./gf256.js";
import type { Kernel } from "./kernel.js";
import { KERNEL_BASE64 } from "./kernel-bytes.js";
import type { Matrix } from "./matrix.js";

/** What is used here of the global, whose types come only with the DOM's. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly matrixAt: { readonly value: number };
  readonly blocksAt: { readonly value: number };
  combine(inputs: number, outputs: number, stride: number, columns: number, add: number): void;
}

/** The kernel's step: blocks are a multiple of it. */
const STEP_BYTES = 64;
/** Larger blocks are no faster, and smaller ones leave room in the processor's cache for what else is going on. */
const MAX_BLOCK_BYTES = 64 * 1024;

/** A kernel with memory of its own, or null where WebAssembly or its SIMD instructions are missing. */
export function simdKernel(): Kernel | null {
  const code = Buffer.from(KERNEL_BASE64, "base64");
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(code)) return null;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code));
  const exports = instance.exports as KernelExports; // kernel.wat says so
  const memory = new Uint8Array(exports.memory.buffer);
  writeTables(memory);
  return {
    multiply: (matrix, inputs, outputs) => combine(exports, memory, matrix, inputs, outputs, false),
    multiplyAdd: (matrix, inputs, outputs) => combine(exports, memory, matrix, inputs, outputs, true),
  };
}

/** For each factor its multiples of 00 … 0f and of 00, 10 … f0. */
function writeTables(memory: Uint8Array): void {
  for (let factor = 0; factor < 256; factor++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      memory[32 * factor + nibble] = product(factor, nibble);
      memory[32 * factor + 16 + nibble] = product(factor, nibble << 4);
    }
  }
}

function combine(
  exports: KernelExports,
  memory: Uint8Array,
  matrix: Matrix,
  inputs: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
  add: boolean,
): void {
  const matrixAt = exports.matrixAt.value;
  const blocksAt = exports.blocksAt.value;
  const room = (memory.length - blocksAt) / (inputs.length + outputs.length);
  const stride = Math.min(MAX_BLOCK_BYTES, room - (room % STEP_BYTES));
  const length = outputs.reduce((longest, output) => Math.max(longest, output.length), 0);

  for (const [j, row] of matrix.entries()) memory.set(row, matrixAt + j * inputs.length);
  const blockOf = (index: number) => blocksAt + index * stride;
  for (let start = 0; start < length; start += stride) {
    const columns = Math.min(stride, length - start);
    for (const [i, input] of inputs.entries()) {
      const block = input.subarray(start, start + columns);
      memory.set(block, blockOf(i));
      if (block.length < columns) memory.fill(0, blockOf(i) + block.length, blockOf(i) + columns);
    }
    for (const [j, output] of outputs.entries()) {
      if (add) memory.set(output.subarray(start, start + columns), blockOf(inputs.length + j));
    }
    exports.combine(inputs.length, outputs.length, stride, columns, Number(add));
    for (const [j, output] of outputs.entries()) {
      const block = output.subarray(start, start + columns);
      block.set(memory.subarray(blockOf(inputs.length + j), blockOf(inputs.length + j) + block.length));
    }
  }
}
