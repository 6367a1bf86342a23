import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import initWabt from "wabt";
import { product } from "../../../src/format/parity/gf256.js";
import type { Kernel } from "../../../src/format/parity/kernel.js";
import { kernel } from "../../../src/format/parity/kernel.js";
import { KERNEL_BASE64 } from "../../../src/format/parity/kernel-bytes.js";
import { simdKernel } from "../../../src/format/parity/simd-kernel.js";
import { tableKernel } from "../../../src/format/parity/table-kernel.js";
import { bytesOf } from "../../support/stripes.js";

const ROOT = join(import.meta.dirname, "../../..");
const BLOCK = 64 * 1024;
const simd = simdKernel() ?? tableKernel;

describe("the kernel in WebAssembly", () => {
  test("is there: Node has SIMD", () => {
    expect(simdKernel()).not.toBeNull();
  });

  test("is what kernel.wat assembles to", async () => {
    const source = readFileSync(join(ROOT, "src/format/parity/kernel.wat"), "utf8");
    const assembled = (await initWabt()).parseWat("kernel.wat", source, { simd: true });
    expect(Buffer.from(assembled.toBinary({}).buffer).toString("base64")).toBe(KERNEL_BASE64);
  });
});

describe.each<[string, Kernel]>([
  ["WebAssembly", simd],
  ["tables", tableKernel],
])("the kernel in %s", (_, { multiply, multiplyAdd }) => {
  test("multiplies every byte by every factor", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
    for (let factor = 0; factor < 256; factor++) {
      const output = new Uint8Array(256).fill(0xa5);
      multiply([Uint8Array.of(factor)], [bytes], [output]);
      expect(output).toEqual(bytes.map(value => product(factor, value)));
      multiplyAdd([Uint8Array.of(factor)], [bytes], [output]);
      expect(output).toEqual(new Uint8Array(256));
    }
  });

  test("writes its outputs and not a byte beside them", () => {
    for (let length = 0; length <= 130; length++) {
      const memory = new Uint8Array(length + 200).fill(0xa5);
      multiply([Uint8Array.of(1)], [bytesOf("input", 400)], [memory.subarray(100, 100 + length)]);
      expect(memory.subarray(0, 100)).toEqual(new Uint8Array(100).fill(0xa5));
      expect(memory.subarray(100 + length)).toEqual(new Uint8Array(100).fill(0xa5));
    }
  });
});

describe("both kernels", () => {
  const lengths = fc.oneof(
    fc.integer({ min: 0, max: 200 }),
    fc.integer({ min: BLOCK - 70, max: BLOCK + 70 }),
    fc.constantFrom(2 * BLOCK, 2 * BLOCK + 1),
  );
  const cases = fc.record({
    seed: fc.string(),
    inputs: fc.array(lengths, { minLength: 1, maxLength: 10 }),
    outputs: fc.array(lengths, { maxLength: 5 }),
    verb: fc.constantFrom<"multiply" | "multiplyAdd">("multiply", "multiplyAdd"),
  });

  test("give the same, for arrays of any and different lengths, whatever went before", () => {
    fc.assert(
      fc.property(cases, ({ seed, inputs, outputs, verb }) => expectSame(seed, inputs, outputs, verb)),
    );
  });

  test.each([
    [128, 128, "the largest matrix"],
    [255, 1, "the most inputs"],
    [1, 255, "the most outputs"],
  ])("give the same for %d inputs and %d outputs: %s", (inputs, outputs) => {
    for (const length of [64, 5000]) {
      expectSame("many", new Array(inputs).fill(length), new Array(outputs).fill(length), "multiply");
    }
  });

  function expectSame(
    seed: string,
    inputs: number[],
    outputs: number[],
    verb: "multiply" | "multiplyAdd",
  ): void {
    const matrix = outputs.map((_, j) => bytesOf(`${seed} row ${j}`, inputs.length));
    const arrays = inputs.map((length, i) => bytesOf(`${seed} input ${i}`, length));
    const [ours, reference] = [simd, tableKernel].map(each => {
      const results = outputs.map((length, j) => bytesOf(`${seed} output ${j}`, length));
      each[verb](matrix, arrays, results);
      return Buffer.concat(results);
    });
    expect(reference && ours?.equals(reference)).toBe(true);
  }
});

describe("kernel()", () => {
  test("is one and the same for a thread", () => {
    expect(kernel()).toBe(kernel());
    expect(kernel()).not.toBe(tableKernel);
  });

  test("is the table kernel where there is no WebAssembly", () => {
    const script = `
      const { kernel } = await import("./dist/format/parity/kernel.js");
      const { tableKernel } = await import("./dist/format/parity/table-kernel.js");
      console.log(typeof WebAssembly, kernel() === tableKernel);`;
    const args = ["--jitless", "--input-type=module", "--eval", script];
    expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" }).trim()).toBe(
      "undefined true",
    );
  });
});
