/**
 * How fast Baton is, as ratios to what it is built on and to what else a user would take, measured in the same minutes on the same
 * machine: docs/benchmarks.md. It must never measure two things at a time.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type ArenaOptions, startArena, TOGETHER } from './arena.js';
import { rounded, tableOf } from './figures.js';
import { race, type RaceOptions } from './race.js';
import { MEANINGS } from './report.js';
import { machineNow, runBounded, writeRecord } from './run-bounded.js';

const HELP = `npm run bench -- [options]
  --lines N      lines of a batch (20000)
  --rounds N     rounds of each contender (5)
  --limit N      seconds after which it gives up (600)
  --short        --lines 2000 --rounds 1 --limit 120
  --cpu-prof DIR a CPU profile of each Baton process
  --out FILE     also write the result, and what machine it is of
`;

interface Options extends ArenaOptions, RaceOptions {
  readonly limitSeconds: number;
  readonly outFile: string | null;
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: { lines: text, rounds: text, limit: text, short: flag, 'cpu-prof': text, out: text, help: flag },
  });
  if (values.help) {
    console.error(HELP);
    process.exit(0);
  }
  const count = (name: 'lines' | 'rounds' | 'limit', normal: number, most: number): number => {
    const value = Number(values[name] ?? normal);
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new Error(`--${name} must be a whole number from 1 to ${most}`);
  };
  return {
    lines: count('lines', values.short ? 2_000 : 20_000, 50_000),
    rounds: count('rounds', values.short ? 1 : 5, 50),
    limitSeconds: count('limit', values.short ? 120 : 600, 7_200),
    roles: TOGETHER,
    profileFolder: values['cpu-prof'] ?? null,
    outFile: values.out ?? null,
  };
}

const options = readOptions();
runBounded(options.limitSeconds, async (cleanUp) => {
  const machine = machineNow();
  const arena = await startArena(options, cleanUp);
  const figures = rounded(MEANINGS, await race(arena, options, cleanUp));
  console.error(tableOf(MEANINGS, figures));
  const { lines, rounds } = options;
  const result = { ...figures, node: process.version, cpus: cpus().length, lines, rounds };
  if (options.outFile !== null) {
    await writeRecord(options.outFile, { ...machine, concurrency: arena.concurrency }, result);
  }
  console.log(JSON.stringify(result));
});
