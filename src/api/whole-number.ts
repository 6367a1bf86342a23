/** Digits and nothing else: `1e9`, `1.5`, `-1`, ` 7` and an empty text are no number, which no bound in core accepts. */
export function wholeNumber(text: string): number {
  return /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
}
