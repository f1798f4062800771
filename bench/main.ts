/**
 * How fast Baton is, as ratios to what it is built on and to what else a user would take, measured in the same minutes on the same
 * machine: docs/benchmarks.md. It must never measure two things at a time.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type Arena, type ArenaOptions, startArena, TOGETHER } from './arena.js';
import { CleanUp } from './clean-up.js';
import { rounded, tableOf } from './figures.js';
import { measureFlood } from './flood.js';
import { measureHistory } from './history.js';
import { measureLatencies } from './latencies.js';
import { race, type RaceOptions } from './race.js';
import { type Figures, MEANINGS } from './report.js';
import { machineNow, runBounded, writeRecord } from './run-bounded.js';
import { measureWorkers } from './workers.js';

const PARTS = ['race', 'workers', 'latencies', 'flood', 'history'] as const;
type PartName = (typeof PARTS)[number];

const HELP = `npm run bench -- [options]
  --lines N      lines of a batch (20000)
  --rounds N     rounds of each contender (5)
  --limit N      seconds after which it gives up (600)
  --only PARTS   of ${PARTS.join(', ')}: only these, comma-separated
  --short        --lines 2000 --rounds 1 --only race,workers,latencies --limit 180
  --cpu-prof DIR a CPU profile of each Baton process
  --out FILE     also write the result, and what machine it is of
`;

interface Options extends ArenaOptions, RaceOptions {
  readonly parts: readonly PartName[];
  readonly limitSeconds: number;
  readonly outFile: string | null;
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: {
      lines: text,
      rounds: text,
      limit: text,
      only: text,
      short: flag,
      'cpu-prof': text,
      out: text,
      help: flag,
    },
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
    limitSeconds: count('limit', values.short ? 180 : 600, 7_200),
    parts: partsOf(values.only ?? (values.short ? 'race,workers,latencies' : PARTS.join())),
    roles: TOGETHER,
    profileFolder: values['cpu-prof'] ?? null,
    outFile: values.out ?? null,
  };
}

function partsOf(text: string): PartName[] {
  const names = text.split(',');
  const unknown = names.find((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown === undefined) return PARTS.filter((name) => names.includes(name));
  throw new Error(`--only knows ${PARTS.join(', ')}, and not ${unknown}`);
}

/** Measures one part, and leaves nothing running. */
async function measure(part: PartName, arena: Arena, options: Options, outer: CleanUp): Promise<Figures> {
  const { lines } = options;
  switch (part) {
    case 'race': {
      const cleanUp = new CleanUp();
      outer.later(() => cleanUp.run());
      const figures = await race(arena, options, cleanUp);
      await cleanUp.run();
      return figures;
    }
    case 'workers':
      return measureWorkers(arena, lines / 2, Math.min(3, options.rounds), outer);
    case 'latencies':
      return measureLatencies(arena, Math.ceil(lines / 100), outer);
    case 'flood':
      return measureFlood(arena, lines, outer);
    case 'history':
      return measureHistory(arena, Math.ceil(lines / 4), outer);
  }
}

const options = readOptions();
runBounded(options.limitSeconds, async (cleanUp) => {
  const machine = machineNow();
  const arena = await startArena(options, cleanUp);
  let figures: Figures = {};
  for (const part of options.parts) {
    const found = rounded(MEANINGS, await measure(part, arena, options, cleanUp));
    console.error(tableOf(MEANINGS, found));
    figures = { ...figures, ...found };
  }
  const { lines, rounds } = options;
  const result = { ...figures, node: process.version, cpus: cpus().length, lines, rounds };
  if (options.outFile !== null) {
    await writeRecord(options.outFile, { ...machine, concurrency: arena.concurrency }, result);
  }
  console.log(JSON.stringify(result));
});
