/** How fast batches are, how much memory they take and how much of the others' way they stand in: docs/benchmarks.md. */
import { parseArgs } from 'node:util';
import { APART, type ArenaOptions, startArena } from './arena.js';
import type { BatchArena } from './batch-arena.js';
import type { BatchClient } from './batch-client.js';
import { measureLarge } from './batch-large.js';
import { measureLife } from './batch-life.js';
import { measureNeighbour } from './batch-neighbour.js';
import { type BatchFigures, MEANINGS } from './batch-report.js';
import { measureWaiting } from './batch-waiting.js';
import type { CleanUp } from './clean-up.js';
import { Part } from './part.js';
import { runBounded } from './run-bounded.js';
import { countOf, measureParts, partsOf } from './run-parts.js';

const PARTS = ['life', 'large', 'waiting', 'neighbour'] as const;
type PartName = (typeof PARTS)[number];

const HELP = `npm run bench:batches -- [options]
  --lines N      lines of a batch (50000); ten times as many wait at most
  --jobs N       single jobs that are submitted beside a batch, two a second (120)
  --only PARTS   of ${PARTS.join(', ')}: only these, comma-separated
  --limit N      seconds after which it gives up (2700)
  --short        --lines 2000 --jobs 10 --limit 420
  --cpu-prof DIR a CPU profile of each Baton process
  --out FILE     also write the result, and what machine it is of
`;

interface Options extends ArenaOptions {
  readonly lines: number;
  readonly jobs: number;
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
      jobs: text,
      only: text,
      limit: text,
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
    lines: countOf('lines', values.lines, values.short ? 2_000 : 50_000, 50_000),
    jobs: countOf('jobs', values.jobs, values.short ? 10 : 120, 5_000),
    parts: partsOf(values.only, PARTS),
    limitSeconds: countOf('limit', values.limit, values.short ? 420 : 2_700, 7_200),
    roles: APART,
    profileFolder: values['cpu-prof'] ?? null,
    outFile: values.out ?? null,
  };
}

function measure(
  part: PartName,
  arena: BatchArena,
  options: Options,
  cleanUp: CleanUp,
): Promise<BatchFigures> {
  switch (part) {
    case 'life':
      return measureLife(arena, cleanUp);
    case 'large':
      return measureLarge(arena, cleanUp);
    case 'waiting':
      return measureWaiting(arena, cleanUp);
    case 'neighbour':
      return measureNeighbour(arena, options.jobs, cleanUp);
  }
}

const options = readOptions();
runBounded(options.limitSeconds, async (cleanUp) => {
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const arena = { ...(await startArena(options, cleanUp)), user, lines: options.lines };
  const { lines, jobs } = options;
  await measureParts(MEANINGS, options, { lines, jobs }, arena, (part) =>
    measure(part, arena, options, cleanUp),
  );
});
