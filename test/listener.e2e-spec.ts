/** A listener that hears nothing although messages wait takes a new connection, and says when that does not help. */
import { randomUUID } from 'node:crypto';
import { Queue, type Worker } from 'bullmq';
import { SturdyClient } from '../src/storage/clients.js';
import { Listener } from '../src/queue/listener.js';
import { chooseBackend, type QueueBackend } from '../src/queue/queue-backend.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';

declare const QUEUE_BACKEND: 'redis' | 'postgres';

let database: TestDatabase;
let backend: QueueBackend;
let queue: Queue;
let heard: string[];
let told: string[];
let listener: Listener;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  heard = [];
  told = [];
  backend = chooseBackend({
    redisUrl: QUEUE_BACKEND === 'redis' ? (process.env['TEST_REDIS_URL'] ?? '') : null,
    databaseUrl: database.url,
    databaseClient: SturdyClient,
    installationId: randomUUID(),
  });
  queue = new Queue('run-job', { prefix: backend.prefix, connection: backend.connection });
  listener = new Listener(
    'run-job',
    { concurrency: 2, handle: async (id) => void heard.push(id) },
    {
      backend,
      waiting: () => queue.getJobCountByTypes('waiting', 'prioritized'),
      onRebuilt: () => void told.push('rebuilt'),
      onDeaf: () => void told.push('deaf'),
    },
    { silenceMs: 600, lookEveryMs: 100 },
  );
  listener.start();
});
afterEach(async () => {
  await listener.close(Promise.resolve());
  await queue.close();
});
afterAll(async () => {
  await database.drop();
});

async function ring(id: string): Promise<void> {
  await queue.add('run-job', { id }, { jobId: `${id}-1`, priority: 1 });
}

/** As a connection does that looks alive and carries nothing: messages wait, and none comes. */
async function deafen(): Promise<void> {
  await (Reflect.get(listener, 'worker') as Worker).pause(true);
}

it('hears what is rung, and leaves a queue alone in which nothing waits', async () => {
  await ring('a');
  await eventually(() => heard.includes('a'));
  await deafen();
  const looked = Date.now();
  await eventually(() => Date.now() - looked > 1_500);
  expect([heard, told]).toEqual([['a'], []]);
});

it('hears again on a new connection', async () => {
  await ring('a');
  await eventually(() => heard.includes('a'));
  await deafen();
  await ring('b');
  await eventually(() => heard.includes('b'));
  expect([heard, told]).toEqual([['a', 'b'], ['rebuilt']]);
});

it('says that it is deaf when a new connection does not help', async () => {
  await ring('a');
  await eventually(() => heard.includes('a'));
  await deafen();
  await ring('b');
  await eventually(async () => {
    // Whatever it listens on goes the same way, before it can hear.
    await deafen();
    return told.includes('deaf');
  });
  expect(told.slice(0, 2)).toEqual(['rebuilt', 'deaf']);
});
