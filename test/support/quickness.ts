/** How quick a Baton answers, on machines that are busy with other things too. */

/** The share's quantile (0 to 1) of some durations. */
export function quantile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/**
 * By how many milliseconds 99 of 100 answers took longer than such a wait takes on this machine now: what `usual` answers, given
 * when nothing was broken, took beyond `usualMs` is not counted.
 */
export function p99Beyond(times: readonly number[], usual: readonly number[], usualMs: number): number {
  return quantile(times, 0.99) - Math.max(0, quantile(usual, 0.99) - usualMs);
}

/** Runs it, and gives how many milliseconds it took beside its result. */
export async function timed<T>(run: () => Promise<T>): Promise<readonly [T, number]> {
  const startMs = performance.now();
  const result = await run();
  return [result, performance.now() - startMs];
}
