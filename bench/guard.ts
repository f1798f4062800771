/**
 * Whether Baton has become slower than it was: what a job of it costs, as a ratio to what one of bare BullMQ costs in the same minute,
 * beside the ratios that are committed. Times would tell more of the machine than of Baton; so do rates, even as ratios, while others
 * use it.
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
import { settled } from './meter.js';
import { runBounded } from './run-bounded.js';
import { median } from './statistics.js';
import { TestedBaton } from './tested-baton.js';

const FILE = join(__dirname, 'results/guard.json');
const LIMIT_SECONDS = 240;
const MOST_LOSS = 0.3;
/** A neighbour can only make it look worse than it is: the first look that is good enough counts. */
const LOOKS = 3;
const ROUNDS = 5;
const JOBS = { bare: 3_000, batch: 3_000, singles: 800 };

/** CPU of Baton and its stores for a job, to that of the bare worker and its store. */
type Ratios = Readonly<Record<'batch_cost_to_bare' | 'singles_cost_to_bare', number>>;

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });

runBounded(LIMIT_SECONDS, async (cleanUp) => {
  const contenders = await enter(
    await startArena({ roles: TOGETHER, profileFolder: null }, cleanUp),
    cleanUp,
  );
  // The first round, in which code is compiled and connections are opened, does not count.
  await round(contenders);
  if (values.write) {
    const ratios = await look(contenders, LOOKS * ROUNDS);
    return writeFile(FILE, `${JSON.stringify(ratios, null, 2)}\n`);
  }
  const committed = JSON.parse(await readFile(FILE, 'utf8')) as Ratios;
  for (let turn = 1; turn <= LOOKS; turn += 1) {
    const lost = losses(await look(contenders), committed);
    if (lost.length === 0) return;
    console.log(`look ${turn} of ${LOOKS}: ${lost.join(', ')}`);
  }
  throw new Error(`Baton costs over ${100 * MOST_LOSS} % more than the committed ratios say: ${FILE}`);
});

interface Contenders extends Readonly<Record<keyof typeof JOBS, Contender>> {
  readonly arena: Arena;
}

async function enter(arena: Arena, cleanUp: CleanUp): Promise<Contenders> {
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const baton = await TestedBaton.start(arena, 'guarded', cleanUp);
  return {
    arena,
    bare: await BareContender.start(arena, cleanUp),
    batch: new BatonBatch(arena, baton, user),
    singles: new BatonSingles(arena, baton),
  };
}

/** One round of each, one after the other: the CPU of a job, in microseconds. */
async function round(contenders: Contenders): Promise<Record<keyof typeof JOBS, number>> {
  const cost = async (name: keyof typeof JOBS): Promise<number> => {
    // What the one before left to do must not fall on the next.
    await settled(contenders.arena.stores);
    const { cpuMicros, storesCpuMicros } = await contenders[name].round({ jobs: JOBS[name], isFlaky: false });
    if (cpuMicros === null || storesCpuMicros === null) throw new Error('CPU time can be told on Linux only');
    return cpuMicros + storesCpuMicros;
  };
  return { bare: await cost('bare'), batch: await cost('batch'), singles: await cost('singles') };
}

async function look(contenders: Contenders, roundCount = ROUNDS): Promise<Ratios> {
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let count = 0; count < roundCount; count += 1) rounds.push(await round(contenders));
  const toBare = (name: 'batch' | 'singles'): number =>
    Number(median(rounds.map((each) => each[name] / each.bare)).toFixed(2));
  const ratios = { batch_cost_to_bare: toBare('batch'), singles_cost_to_bare: toBare('singles') };
  console.log(JSON.stringify(ratios));
  return ratios;
}

/** What is over the committed ratios by more than it may be. */
function losses(seen: Ratios, committed: Ratios): string[] {
  return (Object.keys(committed) as (keyof Ratios)[])
    .filter((name) => seen[name] > committed[name] * (1 + MOST_LOSS))
    .map((name) => `${name} is ${seen[name]}, and was ${committed[name]}`);
}
