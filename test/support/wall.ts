/** Measures how long things take, on machines that are busy with other things too. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs a call that ought to end at `timeoutMs`, and gives its result and by how many milliseconds it was later than a bare timer
 * that was started with it: what the machine itself is late by counts for neither. Of three runs, the one that was least late.
 */
export async function runAgainstWall<T>(timeoutMs: number, call: () => Promise<T>): Promise<Walled<T>> {
  const runs = [
    await runOnce(timeoutMs, call),
    await runOnce(timeoutMs, call),
    await runOnce(timeoutMs, call),
  ];
  return runs.reduce((best, run) => (run.overMs < best.overMs ? run : best));
}

interface Walled<T> {
  result: T;
  overMs: number;
}

async function runOnce<T>(timeoutMs: number, call: () => Promise<T>): Promise<Walled<T>> {
  const bareTimer = delay(timeoutMs).then(() => performance.now());
  const [result, endedAt] = await call().then((value) => [value, performance.now()] as const);
  return { result, overMs: endedAt - (await bareTimer) };
}

/** The processor time that a call takes, in milliseconds: the least of five runs, since the machine may be busy during any of them. */
export function leastCpuMs(run: () => unknown): number {
  const times = Array.from({ length: 5 }, () => {
    const start = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}
