/**
 * Whether Baton has become slower than it was: what a job of it costs, and how many it does in a second, as ratios to bare BullMQ in the
 * same minute, beside the ratios that are committed. Times would tell more of the machine than of Baton.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Arena, startArena, TOGETHER } from './arena.js';
import { BareContender } from './bare-contender.js';
import { BatonBatch, BatonSingles } from './baton-contender.js';
import type { BatchClient } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import type { Contender } from './contender.js';
import { Part } from './part.js';
import { runBounded } from './run-bounded.js';
import { median } from './statistics.js';
import { TestedBaton } from './tested-baton.js';

const FILE = join(__dirname, 'results/guard.json');
const LIMIT_SECONDS = 240;
const MOST_LOSS = 0.3;
/** A neighbour can only make it look worse than it is: the first look that is good enough counts. */
const LOOKS = 3;
const ROUNDS = 3;
const JOBS = { bare: 2_000, batch: 2_000, singles: 600 };

/** What Baton takes of CPU, its stores included, for a job, to what bare BullMQ takes; and jobs a second to those of bare BullMQ. */
type Ratios = Readonly<Record<`${'batch' | 'singles'}_${'cost' | 'rate'}_to_bare`, number>>;

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });

runBounded(LIMIT_SECONDS, async (cleanUp) => {
  const contenders = await enter(
    await startArena({ roles: TOGETHER, profileFolder: null }, cleanUp),
    cleanUp,
  );
  // The first round, in which code is compiled and connections are opened, does not count.
  await round(contenders);
  if (values.write) return writeFile(FILE, `${JSON.stringify(await look(contenders), null, 2)}\n`);
  const committed = JSON.parse(await readFile(FILE, 'utf8')) as Ratios;
  for (let turn = 1; turn <= LOOKS; turn += 1) {
    const lost = losses(await look(contenders), committed);
    if (lost.length === 0) return;
    console.log(`look ${turn} of ${LOOKS}: ${lost.join(', ')}`);
  }
  throw new Error(`Baton is over ${100 * MOST_LOSS} % worse than the committed ratios say: ${FILE}`);
});

type Contenders = Readonly<Record<keyof typeof JOBS, Contender>>;

async function enter(arena: Arena, cleanUp: CleanUp): Promise<Contenders> {
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const baton = await TestedBaton.start(arena, 'guarded', cleanUp);
  return {
    bare: await BareContender.start(arena, cleanUp),
    batch: new BatonBatch(arena, baton, user),
    singles: new BatonSingles(arena, baton),
  };
}

interface Seen {
  /** CPU of a job, in microseconds. */
  readonly cost: number;
  /** Jobs a second. */
  readonly rate: number;
}

/** One round of each, one after the other. */
async function round(contenders: Contenders): Promise<Record<keyof typeof JOBS, Seen>> {
  const one = async (name: keyof typeof JOBS): Promise<Seen> => {
    const seen = await contenders[name].round({ jobs: JOBS[name], isFlaky: false });
    const { cpuMicros, storesCpuMicros, jobsPerSecond: rate } = seen;
    if (cpuMicros === null || storesCpuMicros === null) throw new Error('CPU time can be told on Linux only');
    return { cost: cpuMicros + storesCpuMicros, rate };
  };
  return { bare: await one('bare'), batch: await one('batch'), singles: await one('singles') };
}

async function look(contenders: Contenders): Promise<Ratios> {
  const rounds: Record<keyof typeof JOBS, Seen>[] = [];
  for (let count = 0; count < ROUNDS; count += 1) rounds.push(await round(contenders));
  const toBare = (name: 'batch' | 'singles', what: keyof Seen): number =>
    Number(median(rounds.map((each) => each[name][what] / each.bare[what])).toFixed(3));
  const ratios = {
    batch_cost_to_bare: toBare('batch', 'cost'),
    singles_cost_to_bare: toBare('singles', 'cost'),
    batch_rate_to_bare: toBare('batch', 'rate'),
    singles_rate_to_bare: toBare('singles', 'rate'),
  };
  console.log(JSON.stringify(ratios));
  return ratios;
}

/** What is worse than the committed ratios by more than it may be. */
function losses(seen: Ratios, committed: Ratios): string[] {
  return (Object.keys(committed) as (keyof Ratios)[])
    .filter((name) => {
      const [worse, better] = name.includes('cost') ? [seen, committed] : [committed, seen];
      return worse[name] > better[name] * (1 + MOST_LOSS);
    })
    .map((name) => `${name} is ${seen[name]}, and was ${committed[name]}`);
}
