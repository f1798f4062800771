/** What every benchmark's run has in common: it is bounded in time, ends what it started, and tells what machine it was on. */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { CleanUp } from './clean-up.js';

/**
 * Runs a measurement, and ends everything that it started: at its end, when it fails, after `limitSeconds`, at a signal. The
 * process fails unless it came to its end.
 */
export function runBounded(limitSeconds: number, measure: (cleanUp: CleanUp) => Promise<void>): void {
  const cleanUp = new CleanUp();
  const leave = (why: string): void => {
    console.error(`${why}: ending what was started`);
    void cleanUp.run().finally(() => process.exit(1));
  };
  setTimeout(leave, limitSeconds * 1000, `Not done after ${limitSeconds} s`).unref();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, leave);
  const run = async (): Promise<void> => {
    try {
      await measure(cleanUp);
    } finally {
      await cleanUp.run();
    }
  };
  run().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}

/** Of which machine a result is, and how busy it was just now: more than nothing says that others used it. */
export function machineNow(): Record<string, unknown> {
  return {
    cpu: cpus()[0]?.model,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    loadBefore: loadavg()[0],
  };
}

/** Writes a result with its date and its machine. */
export async function writeRecord(file: string, machine: object, result: object): Promise<void> {
  const record = { date: new Date().toISOString(), ...machine, ...result };
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
}
