/** Baton beside bare BullMQ and beside a gateway: the same jobs, in turns, so that a busy minute of the machine falls on all. */
import { APART, type Arena, TOGETHER } from './arena.js';
import { BareContender } from './bare-contender.js';
import { BatonBatch, BatonSingles } from './baton-contender.js';
import type { BatchClient } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import type { Contender, Work } from './contender.js';
import { GatewayContender } from './gateway-contender.js';
import { type Round, settled } from './meter.js';
import { Part } from './part.js';
import type { Figures } from './report.js';
import { median, medianOrNull } from './statistics.js';
import { TestedBaton } from './tested-baton.js';

export interface RaceOptions {
  readonly rounds: number;
  /** Of a round of a batch; the others' are shorter, as far as they are slower to come to the same. */
  readonly lines: number;
}

/** Who races, and over how many jobs. */
interface Entry {
  readonly contender: Contender;
  readonly work: Work;
  readonly rounds: Round[];
}

type Name = `${'' | 'flaky_'}${'bare' | 'batch' | 'singles' | 'gateway'}` | 'apart_batch' | 'apart_singles';

/** Runs the race. Throws if any job of any contender was not done exactly once. */
export async function race(arena: Arena, options: RaceOptions, cleanUp: CleanUp): Promise<Figures> {
  const { entries, batch } = await enter(arena, options.lines, cleanUp);
  // The first round, in which code is compiled and connections are opened, does not count.
  for (const { contender, work } of Object.values(entries)) {
    await contender.round({ ...work, jobs: Math.min(work.jobs, Math.ceil(options.lines / 4)) });
  }
  // Those who are asked over HTTP take longest to come to their speed.
  for (const { contender, work } of [entries.gateway, entries.singles, entries.apart_singles])
    await contender.round({ ...work, jobs: 2 * work.jobs });
  batch.wholePerSecond.length = 0;
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const [name, { contender, work, rounds }] of Object.entries(entries)) {
      // What the one before left to do, to write its output or to vacuum, must not fall on the next.
      await settled(arena.stores);
      const seen = await contender.round(work);
      rounds.push(seen);
      console.error(`round ${round} of ${options.rounds}: ${name} ${seen.jobsPerSecond.toFixed(0)}/s`);
    }
  }
  return { ...figuresOf(entries), batch_whole_per_s: median(batch.wholePerSecond) };
}

async function enter(
  arena: Arena,
  lines: number,
  cleanUp: CleanUp,
): Promise<{ entries: Record<Name, Entry>; batch: BatonBatch }> {
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const start = (name: string, roles: readonly string[]): Promise<TestedBaton> =>
    TestedBaton.start({ ...arena, roles }, name, cleanUp);
  const [together, apart] = [await start('together', TOGETHER), await start('apart', APART)];
  const bare = await BareContender.start(arena, cleanUp);
  const gateway = await GatewayContender.start(arena, cleanUp);
  const singles = new BatonSingles(arena, together);
  const batch = new BatonBatch(arena, together, user);
  const entry = (contender: Contender, jobs: number, isFlaky = false): Entry => ({
    contender,
    work: { jobs: Math.ceil(jobs), isFlaky },
    rounds: [],
  });
  // Enough for each to take some seconds, and all together not too many.
  const entries = {
    bare: entry(bare, lines / 4),
    gateway: entry(gateway, lines / 16),
    singles: entry(singles, lines / 16),
    batch: entry(batch, lines),
    flaky_bare: entry(bare, lines / 4, true),
    flaky_gateway: entry(gateway, lines / 16, true),
    flaky_singles: entry(singles, lines / 16, true),
    flaky_batch: entry(new BatonBatch(arena, together, user), lines / 5, true),
    apart_singles: entry(new BatonSingles(arena, apart), lines / 16),
    apart_batch: entry(new BatonBatch(arena, apart, user), lines / 5),
  };
  return { entries, batch };
}

function figuresOf(entries: Record<Name, Entry>): Figures {
  const rate = (name: Name): number => median(entries[name].rounds.map((round) => round.jobsPerSecond));
  /** Each round against its neighbour in time: what else the machine does in that moment falls on both. */
  const ratio = (one: Name, other: Name): number =>
    median(
      entries[other].rounds.map(
        ({ jobsPerSecond }, i) => (entries[one].rounds[i]?.jobsPerSecond ?? 0) / jobsPerSecond,
      ),
    );
  const cpu = (name: Name): number | null =>
    medianOrNull(entries[name].rounds.map((round) => round.cpuMicros));
  const stores = (name: Name): number | null =>
    medianOrNull(entries[name].rounds.map((round) => round.storesCpuMicros));
  return {
    bare_per_s: rate('bare'),
    singles_per_s: rate('singles'),
    batch_per_s: rate('batch'),
    gateway_per_s: rate('gateway'),
    flaky_bare_per_s: rate('flaky_bare'),
    flaky_singles_per_s: rate('flaky_singles'),
    flaky_batch_per_s: rate('flaky_batch'),
    flaky_gateway_per_s: rate('flaky_gateway'),
    batch_to_bare: ratio('batch', 'bare'),
    flaky_batch_to_bare: ratio('flaky_batch', 'flaky_bare'),
    batch_to_gateway: ratio('batch', 'gateway'),
    flaky_batch_to_gateway: ratio('flaky_batch', 'flaky_gateway'),
    singles_to_gateway: ratio('singles', 'gateway'),
    flaky_singles_to_gateway: ratio('flaky_singles', 'flaky_gateway'),
    apart_singles_to_gateway: ratio('apart_singles', 'gateway'),
    apart_batch_to_bare: ratio('apart_batch', 'bare'),
    bare_cpu_us: cpu('bare'),
    bare_stores_cpu_us: stores('bare'),
    singles_cpu_us: cpu('singles'),
    singles_stores_cpu_us: stores('singles'),
    batch_cpu_us: cpu('batch'),
    batch_stores_cpu_us: stores('batch'),
    gateway_cpu_us: cpu('gateway'),
  };
}
