/**
 * How fast Baton is, as ratios to what it is built on and to what else a user would take, measured in the same minutes on the same
 * machine: docs/benchmarks.md. It must never measure two things at a time.
 */
import { parseArgs } from 'node:util';
import { type Arena, type ArenaOptions, startArena, TOGETHER } from './arena.js';
import type { CleanUp } from './clean-up.js';
import { measureFlood } from './flood.js';
import { measureHistory } from './history.js';
import { measureLatencies } from './latencies.js';
import { race, type RaceOptions } from './race.js';
import { type Figures, MEANINGS } from './report.js';
import { runBounded } from './run-bounded.js';
import { countOf, measureParts, partsOf } from './run-parts.js';
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
  return {
    lines: countOf('lines', values.lines, values.short ? 2_000 : 20_000, 50_000),
    rounds: countOf('rounds', values.rounds, values.short ? 1 : 5, 50),
    limitSeconds: countOf('limit', values.limit, values.short ? 180 : 600, 7_200),
    parts: partsOf(values.only ?? (values.short ? 'race,workers,latencies' : undefined), PARTS),
    roles: TOGETHER,
    profileFolder: values['cpu-prof'] ?? null,
    outFile: values.out ?? null,
  };
}

/** Measures one part, and leaves nothing running. */
async function measure(part: PartName, arena: Arena, options: Options, outer: CleanUp): Promise<Figures> {
  const { lines } = options;
  switch (part) {
    case 'race': {
      const cleanUp = outer.inner();
      const figures = await race(arena, options, cleanUp);
      await cleanUp.run();
      return figures;
    }
    case 'workers':
      return measureWorkers(arena, Math.ceil(lines / 10), options.rounds, outer);
    case 'latencies':
      return measureLatencies(arena, Math.ceil(lines / 100), outer);
    case 'flood':
      return measureFlood(arena, Math.ceil(lines / 2), outer);
    case 'history':
      return measureHistory(arena, Math.ceil(lines / 8), outer);
  }
}

const options = readOptions();
runBounded(options.limitSeconds, async (cleanUp) => {
  const arena = await startArena(options, cleanUp);
  const { lines, rounds } = options;
  await measureParts(MEANINGS, options, { lines, rounds }, arena, (part) =>
    measure(part, arena, options, cleanUp),
  );
});
