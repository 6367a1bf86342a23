/** Small matrices over GF(2^8), as rows of bytes. */
import { assert } from "../errors.js";
import { byteAt, inverse, product } from "./gf256.js";

export type Matrix = readonly Uint8Array[];

/** The row vector `row` times `matrix`. */
export function timesMatrix(row: Uint8Array, matrix: Matrix): Uint8Array {
  const result = new Uint8Array(matrix[0]?.length ?? 0);
  for (const [i, other] of matrix.entries()) addMultiple(result, byteAt(row, i), other);
  return result;
}

/** The inverse of a square matrix, by Gauss and Jordan; null if it has none. */
export function inverseOf(matrix: Matrix): Matrix | null {
  const size = matrix.length;
  assert(
    matrix.every(row => row.length === size),
    "only square matrices have an inverse",
  );
  // Each row with the unit matrix's beside it: what turns the left half into the unit matrix turns the right half into
  // the inverse.
  const rows = matrix.map((row, at) => {
    const wide = new Uint8Array(2 * size);
    wide.set(row);
    wide[size + at] = 1;
    return wide;
  });
  for (let column = 0; column < size; column++) {
    const found = rows.findIndex((row, at) => at >= column && row[column] !== 0);
    const pivot = rows[found];
    if (!pivot) return null;
    rows.splice(found, 1);
    rows.splice(column, 0, pivot);
    scale(pivot, inverse(byteAt(pivot, column)));
    for (const row of rows) if (row !== pivot) addMultiple(row, byteAt(row, column), pivot);
  }
  return rows.map(row => row.subarray(size));
}

function scale(row: Uint8Array, factor: number): void {
  for (const [i, value] of row.entries()) row[i] = product(factor, value);
}

/** row ← row + factor · other. In GF(2^8) adding and subtracting are the same. */
function addMultiple(row: Uint8Array, factor: number, other: Uint8Array): void {
  if (factor === 0) return;
  for (const [i, value] of other.entries()) row[i] = byteAt(row, i) ^ product(factor, value);
}
