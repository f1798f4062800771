/** How long jobs whose worker was killed waited for their next attempt, from the ledger. */
import { percentile } from '../../../bench/statistics.js';
import type { Life } from '../../support/fleet.js';
import { STORE_FAULTS } from './faults.js';
import type { Ledger } from './ledger.js';
import type { DoneFault } from './nemesis.js';

/** In milliseconds after the kill. */
export interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Recovery {
  /** When the attempt was written down as interrupted. */
  readonly noticed: Times | null;
  /** When the next attempt of a single job began. */
  readonly singles: Times | null;
  /** The same of lines of batches, which may find a queue before them. */
  readonly lines: Times | null;
  /** The same of those whose worker was killed while nothing was done to a store: from 5 s before the kill to 20 s after it. */
  readonly untouched: Times | null;
  /** All that is written down of those that waited longest while nothing was done to a store. */
  readonly slowest: readonly unknown[];
}

interface CutOff {
  readonly job: string;
  readonly worker: string;
  readonly isLine: boolean;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Null if it was the last, because it was the third. */
  readonly nextMs: number | null;
}

const MOST_SLOWEST = 3;
const BEFORE_MS = 5_000;
const AFTER_MS = 20_000;

export async function recoveryOf(
  ledger: Ledger,
  lives: readonly Life[],
  faults: readonly DoneFault[],
): Promise<Recovery> {
  const storeFaults = faults.filter(({ kind }) => STORE_FAULTS.has(kind));
  const isUntouched = (killedMs: number): boolean =>
    !storeFaults.some(({ atMs, endMs }) => atMs < killedMs + AFTER_MS && endMs > killedMs - BEFORE_MS);
  const killed = new Map(
    lives.flatMap(({ pid, how, endedMs }) => (how === 'killed' && endedMs !== null ? [[pid, endedMs]] : [])),
  );
  const rows = await ledger.rows<CutOff>(`
    select a.job_id as job, a.worker, j.batch_id is not null as "isLine", ${ms('a.started_at')} as "startedMs", ${ms('a.ended_at')} as "endedMs",
      (select ${ms('n.started_at')} from attempts n where n.job_id = a.job_id and n.index = a.index + 1) as "nextMs"
    from attempts a join jobs j on j.id = a.job_id where a.outcome = 'interrupted'`);
  const cut = rows.flatMap((row) => {
    const killedMs = killed.get(Number(row.worker.split(':').at(-1)));
    return killedMs === undefined || killedMs < row.startedMs ? [] : [{ ...row, killedMs }];
  });
  const resumed = cut.flatMap(({ job, nextMs, killedMs, isLine }) =>
    nextMs === null
      ? []
      : [{ job, killedMs, isLine, tookMs: nextMs - killedMs, isUntouched: isUntouched(killedMs) }],
  );
  const tookMs = (of: typeof resumed): Times | null => timesOf(of.map((each) => each.tookMs));
  const untouched = resumed.filter((each) => each.isUntouched);
  const slowest: unknown[] = [];
  for (const each of untouched.toSorted((one, other) => other.tookMs - one.tookMs).slice(0, MOST_SLOWEST))
    slowest.push({ ...each, ledger: await ledger.ledgerOf(each.job) });
  return {
    noticed: timesOf(cut.map((each) => each.endedMs - each.killedMs)),
    singles: tookMs(resumed.filter((each) => !each.isLine)),
    lines: tookMs(resumed.filter((each) => each.isLine)),
    untouched: tookMs(untouched),
    slowest,
  };
}

export function timesOf(values: readonly number[]): Times | null {
  if (values.length === 0) return null;
  const at = (percent: number): number => Math.round(percentile(values, percent));
  return { count: values.length, p50: at(50), p99: at(99), max: at(100) };
}

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;
