/** How quick a Baton answers, on machines that are busy with other things too. */
import { percentile } from '../../bench/statistics.js';

/**
 * By how many milliseconds 99 of 100 answers took longer than such a wait takes on this machine now: what `usual` answers, given
 * when nothing was broken, took beyond `usualMs` is not counted.
 */
export function p99Beyond(times: readonly number[], usual: readonly number[], usualMs: number): number {
  return percentile(times, 99) - Math.max(0, percentile(usual, 99) - usualMs);
}

/** Runs it, and gives how many milliseconds it took beside its result. */
export async function timed<T>(run: () => Promise<T>): Promise<readonly [T, number]> {
  const startMs = performance.now();
  const result = await run();
  return [result, performance.now() - startMs];
}
