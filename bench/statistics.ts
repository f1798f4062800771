/** The nearest-rank percentile (0 < `percent` ≤ 100) of at least one value. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.ceil((percent / 100) * sorted.length) - 1];
  if (value === undefined) throw new Error('No values');
  return value;
}

/** The value in the middle of at least one; of an even number, the lower one of the two there. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The same of those that are known; null if none is. */
export function medianOrNull(values: ReadonlyArray<number | null>): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}
