/**
 * The field GF(2^8) of the parity code: bytes are polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1. Addition
 * is xor; multiplication adds logarithms to the base 2 (the polynomial x), which generates every byte but 0.
 */
import { assert } from "../errors.js";

const POLYNOMIAL = 0x11d;
/** Powers repeat after this many. */
const ORDER = 255;

const POWERS = new Uint8Array(2 * ORDER); // twice over, so that a sum of two logarithms needs no modulo
const LOGARITHMS = new Uint8Array(256);
for (let exponent = 0, power = 1; exponent < ORDER; exponent++) {
  POWERS[exponent] = power;
  POWERS[exponent + ORDER] = power;
  LOGARITHMS[power] = exponent;
  power <<= 1;
  if (power > 255) power ^= POLYNOMIAL;
}

export function product(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return byteAt(POWERS, byteAt(LOGARITHMS, a) + byteAt(LOGARITHMS, b));
}

/** 1/a. There is none of 0. */
export function inverse(a: number): number {
  assert(a !== 0, "0 has no inverse");
  return byteAt(POWERS, ORDER - byteAt(LOGARITHMS, a));
}

/** For indices that are known to exist: of a typed array, the compiler takes every element for possibly missing. */
export function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
