/** A listener that hears nothing although messages wait takes a new connection, and says when that does not help. */
import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { SturdyClient } from '../src/storage/clients.js';
import { Listener } from '../src/queue/listener.js';
import { chooseBackend, type QueueBackend } from '../src/queue/queue-backend.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { postgresBehindProxy, redisBehindProxy } from './support/behind-proxy.js';
import type { TcpProxy } from './support/tcp-proxy.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';

declare const QUEUE_BACKEND: 'redis' | 'postgres';

let database: TestDatabase;
let proxy: TcpProxy;
let queue: Queue;
let heard: string[];
let told: string[];
let whenRebuilt: () => void;
let listener: Listener;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  heard = [];
  told = [];
  whenRebuilt = () => undefined;
  const installationId = randomUUID();
  const redisUrl = process.env['TEST_REDIS_URL'] ?? '';
  const straight = backendAt(redisUrl, database.url, installationId);
  queue = new Queue('run-job', { prefix: straight.prefix, connection: straight.connection });
  const behind = QUEUE_BACKEND === 'redis' ? redisBehindProxy(redisUrl) : postgresBehindProxy(database.url);
  const { url, ...proxied } = await behind;
  proxy = proxied.proxy;
  const backend = backendAt(url, url, installationId);
  listener = new Listener(
    'run-job',
    { concurrency: 2, handle: async (id) => void heard.push(id) },
    {
      backend,
      waiting: () => queue.getJobCountByTypes('waiting', 'prioritized'),
      onRebuilt: () => {
        told.push('rebuilt');
        whenRebuilt();
      },
      onDeaf: () => void told.push('deaf'),
    },
    { silenceMs: 600, lookEveryMs: 100 },
  );
  listener.start();
});
afterEach(async () => {
  await proxy.restore();
  await listener.close(Promise.resolve());
  await queue.close();
  await proxy.close();
});
afterAll(async () => {
  await database.drop();
});

/**
 * The listener has heard one message, is done with it, and has found no other: what it asked for before it was cut off is answered. On a
 * slow machine it may have been built anew while its first connection was made.
 */
async function hasHeardOne(): Promise<void> {
  await ring('a');
  await eventually(() => heard.includes('a'));
  await eventually(async () => (await queue.getJobCountByTypes('waiting', 'prioritized', 'active')) === 0);
  told.length = 0;
}

async function ring(id: string): Promise<void> {
  await queue.add('run-job', { id }, { jobId: `${id}-1`, priority: 1 });
}

function backendAt(redisUrl: string, databaseUrl: string, installationId: string): QueueBackend {
  return chooseBackend({
    redisUrl: QUEUE_BACKEND === 'redis' ? redisUrl : null,
    databaseUrl,
    databaseClient: SturdyClient,
    installationId,
  });
}

it('hears what is rung, and leaves a queue alone in which nothing waits', async () => {
  await hasHeardOne();
  proxy.timeout();
  const lookedMs = Date.now();
  await eventually(() => Date.now() - lookedMs > 1_500);
  expect([heard, told]).toEqual([['a'], []]);
});

it('hears again on a new connection', async () => {
  await hasHeardOne();
  proxy.timeout();
  whenRebuilt = () => void proxy.restore();
  await ring('b');
  await eventually(() => heard.includes('b'));
  expect([heard, told]).toEqual([['a', 'b'], ['rebuilt']]);
});

it('says that it is deaf when a new connection does not help', async () => {
  await hasHeardOne();
  proxy.timeout();
  await ring('b');
  await eventually(() => told.includes('deaf'));
  expect(told.slice(0, 2)).toEqual(['rebuilt', 'deaf']);
});
