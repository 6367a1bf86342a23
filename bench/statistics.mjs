/** Many measures in one line. */

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `median  (least – greatest)`. */
export function summary(values, digits = 0) {
  const text = value => value.toFixed(digits);
  return `${text(median(values)).padStart(7)}  (${text(Math.min(...values))} – ${text(Math.max(...values))})`;
}
