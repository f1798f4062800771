/** What lines and jobs that wait cost in Redis: as much as the window, however many they are. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type BatchArena, beginBatch, cancelBatches, input, startWarm } from './batch-arena.js';
import type { Figures } from './batch-report.js';
import { CleanUp } from './clean-up.js';
import { median } from './statistics.js';
import type { TestedBaton } from './tested-baton.js';

const LINE_BYTES = 400;
const BATCHES = 10;
/** How many times more wait the second time. */
const TIMES_MORE_LINES = 50;
const TIMES_MORE_JOBS = 5;
const HANGING = 'after-600000/long';
const CONNECTIONS = 50;
const LOOKS = 11;
const LOOK_EVERY_MS = 200;

export async function measureWaiting(arena: BatchArena, outer: CleanUp): Promise<Figures> {
  const cleanUp = new CleanUp();
  outer.later(() => cleanUp.run());
  const redis = new Redis(arena.stores.redisUrl);
  cleanUp.later(async () => redis.disconnect());
  // What earlier Batons left there.
  await redis.flushall();
  const baton = await startWarm(arena, 'waiting', cleanUp);
  const few = await waitingLines(arena, baton, redis, arena.lines / TIMES_MORE_LINES);
  const many = await waitingLines(arena, baton, redis, arena.lines);
  const fewJobs = arena.lines / TIMES_MORE_JOBS;
  await submitJobs(arena, baton, fewJobs);
  const jobsFew = await usedKib(baton, redis);
  await submitJobs(arena, baton, arena.lines - fewJobs);
  const jobsMany = await usedKib(baton, redis);
  await cleanUp.run();
  return {
    waiting_lines_few: (BATCHES * arena.lines) / TIMES_MORE_LINES,
    waiting_lines_few_kib: few,
    waiting_lines_many: BATCHES * arena.lines,
    waiting_lines_many_kib: many,
    waiting_lines_ratio: many / few,
    waiting_jobs_few: fewJobs,
    waiting_jobs_few_kib: jobsFew,
    waiting_jobs_many: arena.lines,
    waiting_jobs_many_kib: jobsMany,
    waiting_jobs_ratio: jobsMany / jobsFew,
  };
}

/** Redis' memory while so many lines of each batch wait; nothing waits afterwards. */
async function waitingLines(
  arena: BatchArena,
  baton: TestedBaton,
  redis: Redis,
  lines: number,
): Promise<number> {
  const { fileId } = await arena.user.ask('upload', input(HANGING, lines, LINE_BYTES));
  const batchIds: string[] = [];
  for (const _ of Array.from({ length: BATCHES })) batchIds.push(await beginBatch(arena, baton, fileId));
  const used = await usedKib(baton, redis);
  await cancelBatches(arena, batchIds);
  return used;
}

async function submitJobs(arena: BatchArena, { url, key }: TestedBaton, jobs: number): Promise<void> {
  await arena.client.ask('submit', { url, key, model: HANGING, jobs, connections: CONNECTIONS });
}

/** The middle of some looks at Redis' own count of its memory, once nothing more is rung. */
async function usedKib(baton: TestedBaton, redis: Redis): Promise<number> {
  await untilSteady(() => rungCount(baton));
  const looks: number[] = [];
  for (let look = 0; look < LOOKS; look += 1) {
    await delay(LOOK_EVERY_MS);
    const used = /^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1];
    looks.push(Number(used) / 1024);
  }
  return median(looks);
}

async function rungCount(baton: TestedBaton): Promise<number> {
  const { rung } = await baton.row<{ rung: number }>(
    `select count(*)::int as rung from jobs where status = 'queued' and rung_at is not null`,
  );
  return rung;
}

/** Waits until what is looked at is the same for two seconds. */
async function untilSteady(look: () => Promise<number>): Promise<void> {
  let last = await look();
  for (let same = 0; same < 4;) {
    await delay(500);
    const now = await look();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}
