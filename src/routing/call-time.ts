/** How much time a job's deadline leaves for a call. */

/** A call that could not last this long is not worth making. */
const SHORTEST_CALL_MS = 50;

/**
 * The longest that a call from `atMs` on may take, in milliseconds; below zero after the deadline. A call's end stays
 * clear of the job's: of two equal deadlines the outer one would win, and the answer be lost.
 */
export function longestCallMs(deadlineMs: number, atMs: number): number {
  const leftMs = deadlineMs - atMs;
  return Math.floor(leftMs - Math.min(1_000, leftMs / 10));
}

/** True if a call from `atMs` on is worth making before the deadline. */
export function leavesTime(deadlineMs: number, atMs: number): boolean {
  return longestCallMs(deadlineMs, atMs) >= SHORTEST_CALL_MS;
}
