/** What lines and jobs that wait cost in Redis: as much as the window, however many they are. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type BatchArena, beginBatch, input, startWarm } from './batch-arena.js';
import type { BatchFigures } from './batch-report.js';
import type { CleanUp } from './clean-up.js';
import { median } from './statistics.js';
import type { TestedBaton } from './tested-baton.js';

const LINE_BYTES = 350;
/** Against the lines of a batch otherwise. */
const FEW = 0.2;
const MANY_LINES = 10;
const HANGING = 'after-600000/long';
const CONNECTIONS = 50;
const LOOKS = 11;
const LOOK_EVERY_MS = 200;

/** Each time on a Baton of its own and an empty Redis, so that nothing differs but what waits. */
export async function measureWaiting(arena: BatchArena, outer: CleanUp): Promise<BatchFigures> {
  const [few, many] = [FEW * arena.lines, MANY_LINES * arena.lines];
  const withLines = (lines: number): Promise<Used> =>
    withBaton(arena, `lines_${lines}`, outer, async (baton, redis) => {
      const { fileId } = await arena.user.ask('upload', input(HANGING, lines, LINE_BYTES));
      await beginBatch(arena, baton, fileId);
      return usedBy(baton, redis);
    });
  const linesFew = await withLines(few);
  const linesMany = await withLines(many);
  const [jobsFew, jobsMany] = await withBaton(arena, 'jobs', outer, async (baton, redis) => {
    await submitJobs(arena, baton, few);
    const first = await usedBy(baton, redis);
    await submitJobs(arena, baton, arena.lines - few);
    return [first, await usedBy(baton, redis)] as const;
  });
  return {
    waiting_lines_few: linesFew.waiting,
    waiting_lines_few_kib: linesFew.kib,
    waiting_lines_many: linesMany.waiting,
    waiting_lines_many_kib: linesMany.kib,
    waiting_lines_ratio: linesMany.kib / linesFew.kib,
    waiting_jobs_few: jobsFew.waiting,
    waiting_jobs_few_kib: jobsFew.kib,
    waiting_jobs_many: jobsMany.waiting,
    waiting_jobs_many_kib: jobsMany.kib,
    waiting_jobs_ratio: jobsMany.kib / jobsFew.kib,
  };
}

interface Used {
  /** How many jobs wait, rung or not. */
  readonly waiting: number;
  /** What Redis uses with them. */
  readonly kib: number;
}

async function withBaton<Found>(
  arena: BatchArena,
  name: string,
  outer: CleanUp,
  look: (baton: TestedBaton, redis: Redis) => Promise<Found>,
): Promise<Found> {
  const cleanUp = outer.inner();
  const redis = new Redis(arena.stores.redisUrl);
  cleanUp.later(() => Promise.resolve(redis.disconnect()));
  await redis.flushall();
  const found = await look(await startWarm(arena, `waiting_${name}`, cleanUp), redis);
  await cleanUp.run();
  return found;
}

async function submitJobs(arena: BatchArena, { url, key }: TestedBaton, jobs: number): Promise<void> {
  await arena.client.ask('submit', { url, key, model: HANGING, jobs, connections: CONNECTIONS });
}

/** The middle of some looks at Redis' own count of its memory, once nothing more is rung. */
async function usedBy(baton: TestedBaton, redis: Redis): Promise<Used> {
  const rung = `select count(*)::int as rung from jobs where status = 'queued' and rung_at is not null`;
  await untilSteady(async () => (await baton.row<{ rung: number }>(rung)).rung);
  const looks: number[] = [];
  for (let look = 0; look < LOOKS; look += 1) {
    await delay(LOOK_EVERY_MS);
    const used = /^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1];
    looks.push(Number(used) / 1024);
  }
  const queued = `select count(*)::int as waiting from jobs where status = 'queued'`;
  return { ...(await baton.row<{ waiting: number }>(queued)), kib: median(looks) };
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
