/** Whether a second worker process does its share: the same batch with one and with two, in turns. */
import { APART, type Arena } from './arena.js';
import { BatonBatch } from './baton-contender.js';
import type { BatchClient } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import { Part } from './part.js';
import type { Figures } from './report.js';
import { median } from './statistics.js';
import { TestedBaton } from './tested-baton.js';

export async function measureWorkers(
  arena: Arena,
  lines: number,
  roundCount: number,
  outer: CleanUp,
): Promise<Figures> {
  const cleanUp = outer.inner();
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const start = async (name: string, roles: readonly string[]): Promise<BatonBatch> =>
    new BatonBatch(arena, await TestedBaton.start({ ...arena, roles }, name, cleanUp), user);
  const [one, two] = [await start('one_worker', APART), await start('two_workers', [...APART, 'worker'])];
  const work = { jobs: lines, isFlaky: false };
  // The first round of each does not count.
  await one.round(work);
  await two.round(work);
  const rounds: { one: number; two: number }[] = [];
  for (let round = 0; round < roundCount; round += 1) {
    rounds.push({ one: (await one.round(work)).jobsPerSecond, two: (await two.round(work)).jobsPerSecond });
  }
  await cleanUp.run();
  return {
    workers_one_per_s: median(rounds.map((round) => round.one)),
    workers_two_per_s: median(rounds.map((round) => round.two)),
    workers_ratio: median(rounds.map((round) => round.two / round.one)),
  };
}
