/** Shared limits while Redis dies, comes back empty, or forgets everything. */
import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import type { Granted } from '../../src/admission/limiter.js';
import { SharedLimiter } from '../../src/admission/shared-limiter.js';
import { SoftStore } from '../../src/queue/soft-store.js';
import { type RunningRedis, startRedis } from '../support/redis-server.js';
import { PATIENT_MS } from '../support/soft-store.js';

const LIMIT = 2;

interface Worker {
  readonly store: SoftStore;
  readonly limiter: SharedLimiter;
}

let redis: RunningRedis;
let workers: Worker[] = [];

beforeAll(() => Logger.overrideLogger(false));
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  for (const { store } of workers.splice(0)) store.onApplicationShutdown();
  await redis.kill();
});

async function startWorker(): Promise<Worker> {
  const store = new SoftStore(redis.url, '{test}', PATIENT_MS);
  await store.onModuleInit();
  const worker = { store, limiter: new SharedLimiter(store) };
  workers.push(worker);
  return worker;
}

async function take({ limiter }: Worker, id: string): Promise<Granted | null> {
  const limits = [{ name: 'k', limits: { concurrency: LIMIT } }];
  const taken = await limiter.take({ id, tokens: 0, holdMs: 60_000, limits });
  return taken.ok ? taken : null;
}

async function waitUntil(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries += 1) {
    if (tries > 2_000) throw new Error('It did not come to be so');
    await delay(10);
  }
}

test('a process knows its own calls when Redis goes away, and others may count anew', async () => {
  const [one, two] = [await startWorker(), await startWorker()];
  const first = await take(one, 'a');
  expect([first?.isShared, (await take(one, 'b'))?.isShared, await take(two, 'c')]).toEqual([
    true,
    true,
    null,
  ]);
  await redis.kill();
  await waitUntil(() => !one.store.isShared && !two.store.isShared);
  expect(await take(one, 'd')).toBeNull();
  expect((await take(two, 'e'))?.isShared).toBe(false);
  if (first) await one.limiter.giveBack(first, 0);
  expect((await take(one, 'f'))?.isShared).toBe(false);
});

test('calls that run are counted again by a Redis that lost everything', async () => {
  const [one, two] = [await startWorker(), await startWorker()];
  const held = [await take(one, 'a'), await take(one, 'b')];
  const client = new Redis(redis.url);
  await client.flushall('SYNC');
  client.disconnect();
  for (const each of held) if (each) await one.limiter.renew(each);
  expect(await take(two, 'c')).toBeNull();
  for (const each of held) if (each) await one.limiter.giveBack(each, 0);
  expect((await take(two, 'c'))?.isShared).toBe(true);
});

test('limits are shared again when Redis is back', async () => {
  const [one, two] = [await startWorker(), await startWorker()];
  const { port } = redis;
  await redis.kill();
  await waitUntil(() => !one.store.isShared && !two.store.isShared);
  const alone = await take(one, 'a');
  redis = await startRedis({ port });
  await waitUntil(() => one.store.isShared && two.store.isShared);
  // What was taken without Redis is given back without it.
  if (alone) await one.limiter.giveBack(alone, 0);
  const taken = [await take(one, 'b'), await take(two, 'c'), await take(one, 'd'), await take(two, 'e')];
  expect(taken.map((each) => each?.isShared ?? null)).toEqual([true, true, null, null]);
});
