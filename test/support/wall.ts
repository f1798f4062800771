/** Measures how well a time-out is kept, on machines that are busy with other things too. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs a call that ought to end at `timeoutMs`, and gives its result and by how many milliseconds it was later than a bare timer
 * that was started with it: what the machine itself is late by counts for neither.
 */
export async function runAgainstWall<T>(
  timeoutMs: number,
  call: () => Promise<T>,
): Promise<{ result: T; overMs: number }> {
  const bareTimer = delay(timeoutMs).then(() => performance.now());
  const [result, endedAt] = await call().then((value) => [value, performance.now()] as const);
  return { result, overMs: endedAt - (await bareTimer) };
}
