/** How long a round of jobs takes, and how much CPU. */
import { setTimeout as delay } from 'node:timers/promises';
import { cpuMicros } from './cpu.js';
import type { PrivateStores } from './private-stores.js';

/** What one round of jobs took. CPU is in microseconds for each job; null where it can't be told. */
export interface Round {
  readonly jobsPerSecond: number;
  readonly cpuMicros: number | null;
  readonly storesCpuMicros: number | null;
}

/** Begins to measure; what it gives ends it. */
export function startMeter(stores: PrivateStores, pids: readonly number[]): (jobs: number) => Round {
  const startedMs = performance.now();
  const cpuBefore = cpuMicros(pids);
  const storesBefore = stores.cpuMicros();
  return (jobs) => {
    const perJob = (before: number | null, after: number | null): number | null =>
      before === null || after === null ? null : (after - before) / jobs;
    return {
      jobsPerSecond: jobs / ((performance.now() - startedMs) / 1000),
      cpuMicros: perJob(cpuBefore, cpuMicros(pids)),
      storesCpuMicros: perJob(storesBefore, stores.cpuMicros()),
    };
  };
}

const LOOK_MS = 250;
const MOST_LOOKS = 12;
/** Of one core. */
const IDLE_SHARE = 0.15;

/** Waits until the stores have next to nothing to do any more, three seconds at most. */
export async function settled(stores: PrivateStores): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look += 1) {
    const before = stores.cpuMicros() ?? 0;
    await delay(LOOK_MS);
    if ((stores.cpuMicros() ?? 0) - before < IDLE_SHARE * LOOK_MS * 1_000) return;
  }
}
