/** Limits in Redis: they do what limits in memory do, and hold for all processes together. */
import { randomBytes } from 'node:crypto';
import type { Granted, Limiter } from '../src/admission/limiter.js';
import { MemoryLimiter } from '../src/admission/memory-limiter.js';
import { RedisLimiter } from '../src/admission/redis-limiter.js';
import { SharedLimiter } from '../src/admission/shared-limiter.js';
import { SoftStore, type SoftScript } from '../src/queue/soft-store.js';
import { draw } from '../src/routing/backoff.js';
import {
  answersOf,
  type Deed,
  giveBack,
  type LimiterCase,
  LIMITER_CASES,
  play,
  renew,
  take,
  type TimedLimiter,
} from './support/limiter-cases.js';
import { PATIENT_MS } from './support/soft-store.js';

const REDIS_URL = process.env['TEST_REDIS_URL'] ?? '';
/** Redis's clock, in tests that set it. */
const START_S = 1_800_000_000;

const stores: SoftStore[] = [];

/** A connection as a process has it; those with the same prefix share what they count. */
async function openStore(prefix: string): Promise<SoftStore> {
  const store = new SoftStore(REDIS_URL, prefix, PATIENT_MS);
  stores.push(store);
  await store.onModuleInit();
  return store;
}

function newPrefix(): string {
  return `{test-${randomBytes(6).toString('hex')}}`;
}

afterAll(() => stores.forEach((store) => store.onApplicationShutdown()));

/** The limiter as it is, but that Redis is told the time. */
async function timedInRedis(): Promise<TimedLimiter> {
  const store = await openStore(newPrefix());
  let nowMs = 0;
  const atSetTime = ({ name, lua }: SoftScript): SoftScript => {
    const seconds = START_S + Math.floor(nowMs / 1_000);
    return { name, lua: lua.replace("redis.call('TIME')", `{ ${seconds}, ${(nowMs % 1_000) * 1_000} }`) };
  };
  const redis = new RedisLimiter(
    { run: (script, keys, args) => store.run(atSetTime(script), keys, args) },
    () => nowMs,
  );
  const limiter: Limiter = {
    take: async (demand) => {
      const taken = await redis.take(demand);
      if (taken === null) throw new Error('Redis did not answer');
      return taken;
    },
    giveBack: (granted, usedTokens) => redis.giveBack(granted, usedTokens),
    renew: (granted) => redis.renew(granted),
  };
  return { limiter, setNow: (ms) => void (nowMs = ms) };
}

function timedInMemory(): TimedLimiter {
  let nowMs = 0;
  return { limiter: new MemoryLimiter(() => nowMs), setNow: (ms) => void (nowMs = ms) };
}

describe('limits in Redis', () => {
  test.each(LIMITER_CASES)('$name', async (each) => {
    expect(await play(await timedInRedis(), each)).toEqual(answersOf(each));
  });

  test.each([1, 2, 3])('answer like limits in memory whatever is asked of them (seed %i)', async (seed) => {
    const each = randomCase(seed);
    const answers = await play(await timedInRedis(), each);
    const inMemory = await play(timedInMemory(), each);
    expect(answers.map(withoutPlace)).toEqual(inMemory.map(withoutPlace));
    // Redis keeps times to a ten-thousandth of a millisecond.
    const apart = answers.map((answer, n) => Math.abs(placeOf(answer) - placeOf(inMemory[n] ?? '')));
    expect(Math.max(...apart)).toBeLessThanOrEqual(1);
    for (const kind of ['ok', 'rpm', 'tpm', 'concurrency'])
      expect(answers).toContainEqual(expect.stringContaining(kind));
  });
});

const PLACE_MS = / \d+$/;
const withoutPlace = (answer: string): string => answer.replace(PLACE_MS, '');
const placeOf = (answer: string): number => Number(PLACE_MS.exec(answer)?.[0] ?? 0);

/** A few hundred deeds, with limits of all kinds. */
function randomCase(seed: number): LimiterCase {
  let drawn = 0;
  const upTo = (most: number): number => Math.floor(draw(seed, (drawn += 1)) * most);
  const deeds: Deed[] = [];
  for (let n = 0, atMs = 0; n < 500; n += 1) {
    atMs += upTo(3) === 0 ? 100 * upTo(20) : 0;
    const id = `call-${upTo(n)}`;
    const verb = upTo(8);
    if (verb === 0) deeds.push(renew(atMs, id));
    else if (verb < 3) deeds.push(giveBack(atMs, id, upTo(4) === 0 ? null : 100 * upTo(10)));
    else deeds.push(take(atMs, `call-${n}`, '', 100 * upTo(10)));
  }
  const limits = { k: { rpm: 40, concurrency: 12 }, m: { tpm: 15_000 } };
  return { name: `seed ${seed}`, limits, deeds };
}

describe('limits of several processes', () => {
  const demand = (id: string) => ({
    id,
    tokens: 10,
    holdMs: 30_000,
    limits: [{ name: 'k', limits: { concurrency: 7, rpm: 6_000 } }],
  });

  test('hold for all together, however many ask at once', async () => {
    const prefix = newPrefix();
    const workers = await Promise.all(
      [1, 2, 3, 4].map(async () => new SharedLimiter(await openStore(prefix))),
    );
    const askAll = (round: string) =>
      Promise.all(
        workers.flatMap((worker, w) =>
          Array.from({ length: 25 }, (_, n) => worker.take(demand(`${round}-${w}-${n}`))),
        ),
      );
    const first = await askAll('first');
    const granted = first.filter((taken): taken is Granted => taken.ok);
    expect([granted.length, granted.every(({ isShared }) => isShared)]).toEqual([7, true]);
    const [one, two] = granted;
    // Any process may give back what another took.
    for (const each of [one, two]) if (each) await workers[3]?.giveBack(each, 10);
    expect((await askAll('second')).filter(({ ok }) => ok)).toHaveLength(2);
  });

  test('hold in each process alone where there is no Redis', async () => {
    const alone = new SharedLimiter(new SoftStore(null, newPrefix()));
    const taken = await Promise.all(Array.from({ length: 20 }, (_, n) => alone.take(demand(`call-${n}`))));
    expect(taken.filter(({ ok }) => ok)).toHaveLength(7);
    expect(taken.some((each) => each.ok && each.isShared)).toBe(false);
  });
});
