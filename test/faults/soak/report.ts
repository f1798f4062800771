/** What a soak came to, for machines and for people. */
import type { Findings } from './check.js';
import type { Left } from './drain.js';
import { FAULT_NAMES, type FaultKind } from './faults.js';
import type { Grown } from './growth.js';
import type { Times } from './recovery.js';

export interface SoakReport extends Findings {
  readonly date: string;
  readonly form: string;
  readonly seed: number;
  readonly machine: Readonly<Record<string, unknown>>;
  readonly versions: { readonly node: string; readonly postgres: string; readonly redis: string };
  /** Of the load and the faults, in seconds. */
  readonly durationSeconds: number;
  readonly processes: { readonly apis: number; readonly workers: number; readonly concurrency: number };
  readonly accepted: { readonly singles: number; readonly lines: number };
  /** From the first request to the 202, in milliseconds. */
  readonly submission: Times | null;
  /** What clients had to ask again for. */
  readonly setbacks: Readonly<Record<string, number>>;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Processes that ended although nobody ended them, and starts that came to nothing. */
  readonly endedByThemselves: number;
  readonly failedStarts: number;
  /** Processes that were asked to stop, by exit code. */
  readonly exitCodes: Readonly<Record<string, number>>;
  /** From the start of a process until it was ready. */
  readonly readyAfter: Times | null;
  /** From when the last fault was undone until nothing was left to do, in milliseconds. */
  readonly drainedMs: number;
  readonly left: Left;
  readonly grown: readonly Grown[];
  /** What the processes that have ended logged, and how often. */
  readonly logged: Readonly<Record<string, number>>;
}

/** The section "The long run" of docs/reliability.md. */
export function toMarkdown(report: SoakReport): string {
  const { machine, versions, accepted, processes, violations } = report;
  const seconds = report.durationSeconds;
  return [
    '## The long run',
    '',
    `${report.date.slice(0, 10)}, seed ${report.seed}, form \`${report.form}\`: ${number(seconds / 60)} minutes on a machine with ` +
      `${String(machine['cpus'])} cores (${String(machine['cpu'])}) and ${String(machine['memoryGib'])} GiB, which ran everything: ` +
      `${processes.apis} API and ${processes.workers} worker processes, PostgreSQL ${versions.postgres}, Redis ${versions.redis}, ` +
      `the models' server, the clients. Node.js ${versions.node}.`,
    '',
    `**Violations: ${violations.length}.**`,
    '',
    table('What', 'Figure', figures(report)),
    '',
    table(
      'Fault',
      'Times',
      Object.entries(report.faults).map(([kind, times]) => [FAULT_NAMES[kind as FaultKind], number(times)]),
    ),
    ...(report.grown.length === 0 ? [] : ['', growthTable(report.grown)]),
    ...violations.flatMap(({ invariant, what, count }) => ['', `- ${invariant}: ${count} ${what}`]),
    '',
    `Accepted were ${number(accepted.singles)} single jobs and ${number(accepted.lines)} lines of batches.`,
    '',
  ].join('\n');
}

function figures(report: SoakReport): Array<readonly [string, string]> {
  const { accepted, calls, told, files, recovery, left } = report;
  return [
    ['jobs accepted', number(accepted.singles + accepted.lines)],
    ['jobs lost', number(report.violations.filter(({ invariant }) => invariant === 'I1').length)],
    ['ended as', inline(report.ends)],
    ['calls of models', number(calls.calls)],
    [
      'calls made again because of a fault',
      `${number(calls.extraCalls)} (${number(report.mostExtraCalls)} allowed)`,
    ],
    ['attempts', inline(calls.outcomes)],
    ['events told', `${number(told.events)}, ${number(told.repeated)} of them more than once`],
    ['lines in result files', `${number(files.outputLines)} answers, ${number(files.errorLines)} errors`],
    ['submission to 202, with all repeats', inMs(report.submission)],
    ['requests made again by clients', inline(report.setbacks)],
    ['killed worker: attempt written down as interrupted', inMs(recovery.noticed)],
    ['killed worker: next attempt of a single job', inMs(recovery.singles)],
    ['killed worker: next attempt of a line', inMs(recovery.lines)],
    ['killed worker: next attempt, both stores untouched', inMs(recovery.untouched)],
    ['last fault undone until nothing was left', `${number(report.drainedMs)} ms (${inline(left)} left)`],
    ['start of a process until ready', inMs(report.readyAfter)],
    ['processes that ended by themselves', number(report.endedByThemselves)],
    ['starts in vain, a store being away', number(report.failedStarts)],
    ['exit codes after SIGTERM', inline(report.exitCodes)],
    ['database at the end', `${number(report.databaseMib)} MiB`],
  ];
}

function growthTable(grown: readonly Grown[]): string {
  const rows = grown.map(({ slot, livedSeconds, early, late }): readonly [string, string] => [
    `${slot}, ${number(livedSeconds / 60)} minutes`,
    `${early.memoryMib} → ${late.memoryMib} MiB, ${early.files} → ${late.files} open files`,
  ]);
  return table('Process that lived', 'Early → late', rows);
}

function inMs(times: Times | null): string {
  if (times === null) return 'none';
  return `p50 ${number(times.p50)}, p99 ${number(times.p99)}, max ${number(times.max)} ms (${number(times.count)})`;
}

function inline(counts: object): string {
  const all = Object.entries(counts as Record<string, number>);
  return all.length === 0 ? 'none' : all.map(([name, count]) => `${name} ${number(count)}`).join(', ');
}

function number(value: number): string {
  return (Math.abs(value) < 100 ? Math.round(value * 10) / 10 : Math.round(value)).toLocaleString('en-US');
}

/** Padded as the formatter pads it. */
function table(first: string, second: string, rows: ReadonlyArray<readonly [string, string]>): string {
  const widths = [0, 1].map((column) =>
    [[first, second], ...rows].reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 3),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line([first, second]), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join(
    '\n',
  );
}
