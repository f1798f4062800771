/** What the measured rounds say, for people and for programs. */
import type { BareRound, BatonRound } from './contenders.js';
import { median, medianOrNull, percentile } from './statistics.js';

/** All that was seen of both contenders on one kind of queue. */
export interface Seen {
  readonly batonRounds: readonly BatonRound[];
  readonly bareRounds: readonly BareRound[];
  readonly batonIdleMs: readonly number[];
  readonly bareIdleMs: readonly number[];
}

/** Medians of the rounds, rounded; null where it could not be told. */
export type Summary = Readonly<Record<(typeof MEANINGS)[number][0], number | null>>;

const MEANINGS = [
  ['baton_jobs_per_s', 'Baton, first submission to last end'],
  ['bare_jobs_per_s', 'bare BullMQ, all jobs waiting'],
  ['ratio', 'Baton to that (median of the rounds)'],
  ['bare_with_add_jobs_per_s', 'bare BullMQ, jobs added meanwhile'],
  ['ratio_with_add', 'Baton to that (median of the rounds)'],
  ['baton_cpu_us_per_job', 'CPU of Baton, µs a job'],
  ['baton_stores_cpu_us_per_job', 'CPU of its stores, µs a job'],
  ['bare_cpu_us_per_job', 'CPU of the bare worker, µs a job'],
  ['bare_stores_cpu_us_per_job', 'CPU of its store, µs a job'],
  ['submit_p50_ms', 'submission under load, median ms'],
  ['submit_p99_ms', 'submission under load, p99 ms'],
  ['idle_p50_ms', 'one job alone, submit to result, median ms'],
  ['idle_p99_ms', 'one job alone, submit to result, p99 ms'],
  ['bare_idle_p50_ms', 'bare: one job alone, add to end, median ms'],
  ['bare_idle_p99_ms', 'bare: one job alone, add to end, p99 ms'],
] as const;

export function summaryOf({ batonRounds, bareRounds, batonIdleMs, bareIdleMs }: Seen): Summary {
  // Each round against its neighbour in time: what else the machine does in that moment falls on both.
  const ratioTo = (rate: (round: BareRound) => number): number =>
    median(bareRounds.map((bare, index) => (batonRounds[index]?.jobsPerSecond ?? 0) / rate(bare)));
  const submitMs = batonRounds.flatMap((round) => round.submitMs);
  return {
    baton_jobs_per_s: rounded(median(batonRounds.map((round) => round.jobsPerSecond)), 0),
    bare_jobs_per_s: rounded(median(bareRounds.map((round) => round.jobsPerSecond)), 0),
    ratio: rounded(
      ratioTo((bare) => bare.jobsPerSecond),
      3,
    ),
    bare_with_add_jobs_per_s: rounded(median(bareRounds.map((round) => round.withAddPerSecond)), 0),
    ratio_with_add: rounded(
      ratioTo((bare) => bare.withAddPerSecond),
      3,
    ),
    baton_cpu_us_per_job: medianCpu(batonRounds.map((round) => round.cpuMicros)),
    baton_stores_cpu_us_per_job: medianCpu(batonRounds.map((round) => round.storesCpuMicros)),
    bare_cpu_us_per_job: medianCpu(bareRounds.map((round) => round.cpuMicros)),
    bare_stores_cpu_us_per_job: medianCpu(bareRounds.map((round) => round.storesCpuMicros)),
    submit_p50_ms: rounded(percentile(submitMs, 50), 2),
    submit_p99_ms: rounded(percentile(submitMs, 99), 2),
    idle_p50_ms: rounded(percentile(batonIdleMs, 50), 2),
    idle_p99_ms: rounded(percentile(batonIdleMs, 99), 2),
    bare_idle_p50_ms: rounded(percentile(bareIdleMs, 50), 2),
    bare_idle_p99_ms: rounded(percentile(bareIdleMs, 99), 2),
  };
}

/** A line for each figure, a column for each kind of queue. */
export function tableOf(summaries: Readonly<Record<string, Summary>>): string {
  const line = (title: string, cells: readonly string[]): string =>
    title.padEnd(46) + cells.map((cell) => cell.padStart(12)).join('');
  const columns = Object.values(summaries);
  return [
    '',
    line('', Object.keys(summaries)),
    ...MEANINGS.map(([key, title]) =>
      line(
        title,
        columns.map((summary) => String(summary[key] ?? '-')),
      ),
    ),
    '',
  ].join('\n');
}

function medianCpu(values: ReadonlyArray<number | null>): number | null {
  const value = medianOrNull(values);
  return value === null ? null : rounded(value, 0);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
