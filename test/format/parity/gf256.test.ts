import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { inverse, product } from "../../../src/format/parity/gf256.js";

const byte = fc.integer({ min: 0, max: 255 });

describe("GF(2^8)", () => {
  test("multiplies as polynomials modulo 0x11d: every product is what shifting and adding gives", () => {
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) if (product(a, b) !== shiftAndAdd(a, b)) throw new Error(`${a} · ${b}`);
    }
  });

  test.each([
    // a     b     a·b   why
    [0x02, 0x80, 0x1d, "x · x^7 = x^8 is the rest of the polynomial"],
    [0x02, 0x8e, 0x01, "1/x, the second coefficient of 1+2"],
    [0x53, 0x00, 0x00, "nothing times nothing"],
    [0xff, 0xff, 0xe2, "the largest"],
  ])("%d · %d = %d: %s", (a, b, result) => {
    expect(product(a, b)).toBe(result);
  });

  test("every byte but 0 times its inverse is 1", () => {
    for (let a = 1; a < 256; a++) expect(product(a, inverse(a))).toBe(1);
    expect(() => inverse(0)).toThrow(TypeError);
  });

  test("multiplication distributes over addition, which is xor", () => {
    fc.assert(
      fc.property(byte, byte, byte, (a, b, c) => {
        expect(product(a, b ^ c)).toBe(product(a, b) ^ product(a, c));
      }),
    );
  });
});

function shiftAndAdd(a: number, b: number): number {
  let sum = 0;
  for (let bit = 7; bit >= 0; bit--) {
    sum <<= 1;
    if (sum & 0x100) sum ^= 0x11d;
    if (b & (1 << bit)) sum ^= a;
  }
  return sum;
}
