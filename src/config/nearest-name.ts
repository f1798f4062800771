/**
 * The known name that `name` was most likely meant to be; null if none is near. Letters' case does not count, and one slip
 * is forgiven for every three letters.
 */
export function nearestName(name: string, known: Iterable<string>): string | null {
  const written = name.toLowerCase();
  if (written.length > LONGEST_NAME) return null;
  let nearest: string | null = null;
  let fewestSlips = Math.floor(written.length / 3) + 1;
  for (const candidate of known) {
    const slips = slipsBetween(written, candidate.toLowerCase());
    if (slips < fewestSlips) {
      nearest = candidate;
      fewestSlips = slips;
    }
  }
  return nearest;
}

/** Longer names come from no keyboard, and the comparison takes the product of both lengths. */
const LONGEST_NAME = 100;

/** Letters to add, drop or replace, or neighbours to swap, to make `b` of `a` (optimal string alignment distance). */
function slipsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + same,
        swapped ? at(beforeLast, column - 2) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = current;
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
