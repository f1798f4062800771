const LONGEST_MS = 2_000;

/** How long to wait after so many failures in a row. BullMQ's own back-off needs up to 20 s to find a store that has come back. */
export function reconnectDelayMs(failures: number): number {
  return Math.min(100 * 2 ** failures, LONGEST_MS);
}
