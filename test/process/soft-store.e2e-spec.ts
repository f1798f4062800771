/** The soft store against a Redis that is there, hangs, dies and comes back. */
import { Logger } from '@nestjs/common';
import { SoftStore, type SoftScript } from '../../src/queue/soft-store.js';
import { type RunningRedis, startRedis } from '../support/redis-server.js';

const COUNT: SoftScript = { name: 'count', lua: "return redis.call('incrby', KEYS[1], ARGV[1])" };
const WRONG: SoftScript = { name: 'wrong', lua: "return redis.error_reply('no')" };
const NOBODY = 'redis://127.0.0.1:1';

beforeAll(() => Logger.overrideLogger(false));

/** Asks until the answer will do. */
async function until<T>(ask: () => Promise<T> | T, isDone: (answer: T) => boolean): Promise<T> {
  const giveUpAt = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    if (Date.now() > giveUpAt) throw new Error(`Still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the soft store', () => {
  let redis: RunningRedis;
  let store: SoftStore;

  beforeEach(async () => {
    redis = await startRedis();
    store = new SoftStore(redis.url, '{test}');
    await store.onModuleInit();
  });
  afterEach(async () => {
    store.onApplicationShutdown();
    await redis.kill();
  });

  const count = (by = 1): Promise<unknown> => store.run(COUNT, ['n'], [by]);

  test('answers from the first question on, to all who share the prefix', async () => {
    expect(store.isShared).toBe(true);
    const other = new SoftStore(redis.url, '{test}');
    await other.onModuleInit();
    expect(await count(2)).toBe(2);
    expect(await other.run(COUNT, ['n'], [3])).toBe(5);
    other.onApplicationShutdown();
  });

  test('answers null at once while Redis is dead, and finds it again', async () => {
    await count();
    const { port } = redis;
    await redis.kill();
    expect(await until(count, (answer) => answer === null)).toBeNull();
    expect(store.isShared).toBe(false);
    redis = await startRedis({ port });
    expect(await until(count, (answer) => answer !== null)).toBe(1);
    expect(store.isShared).toBe(true);
  });

  test('asks a Redis that hangs once, and nobody waits for it after that', async () => {
    await count();
    process.kill(redis.pid, 'SIGSTOP');
    expect(await count()).toBeNull();
    const answers = Array.from({ length: 1_000 }, () => count());
    expect(store.isShared).toBe(false);
    // None of them went to the network: they are all there before the next turn of the event loop.
    const next = new Promise((resolve) => setImmediate(() => resolve('too late')));
    const all = Promise.all(answers).then((each) => each.every((answer) => answer === null));
    expect(await Promise.race([all, next])).toBe(true);
    process.kill(redis.pid, 'SIGCONT');
    expect(await until(count, (answer) => answer !== null)).toEqual(expect.any(Number));
  });

  test('a script that fails is a null, and the next questions rest', async () => {
    expect(await store.run(WRONG, ['n'], [])).toBeNull();
    expect(store.isShared).toBe(false);
    expect(await until(count, (answer) => answer !== null)).toBe(1);
  });
  test('a start and a stop beside a Redis that hangs end by themselves', async () => {
    process.kill(redis.pid, 'SIGSTOP');
    const late = new SoftStore(redis.url, '{test}');
    await late.onModuleInit();
    expect([late.isShared, await late.run(COUNT, ['n'], [1])]).toEqual([false, null]);
    late.onApplicationShutdown();
  });

  test('a start and a stop without Redis do not hang', async () => {
    const lost = new SoftStore(NOBODY, '{test}');
    await lost.onModuleInit();
    expect([lost.isShared, await lost.run(COUNT, ['n'], [1])]).toEqual([false, null]);
    lost.onApplicationShutdown();
  });
});

test('without Redis there is nothing to share', async () => {
  const none = new SoftStore(null, '{test}');
  await none.onModuleInit();
  expect([none.isShared, await none.run(COUNT, ['n'], [1])]).toEqual([false, null]);
  none.onApplicationShutdown();
});
