/** Who runs next: a bounded number of jobs is handed to the workers, and every source of jobs has its turn. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { toUuid } from '../src/storage/ids.js';
import { BatchClient, chats, type BatchReply } from './support/batch-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { after, answer, fail } from './support/upstream-behaviours.js';

jest.setTimeout(180_000);

const CONCURRENCY = 10;

let upstream: ScriptedUpstream;
let baton: TestBaton;
let batches: BatchClient;
let database: Client;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: String(CONCURRENCY) },
    file: { providers: { up: { base_url: upstream.url, api_key: 'k', protect: false } } },
  });
  batches = new BatchClient(baton);
  database = new Client({ connectionString: baton.database.url });
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await baton.stop();
  await upstream.close();
});

/** How many jobs are handed to the workers and not taken yet. */
async function rung(): Promise<number> {
  const { rows } = await database.query<{ rung: number }>(
    `select count(*)::int as rung from jobs left join batch_runs using (batch_id)
     where status = 'queued' and (rung_at is not null or jobs.id <= rung_to)`,
  );
  return rows[0]?.rung ?? 0;
}

const begun = (batch: BatchReply): boolean => batch.request_counts.in_progress > 0;

it('a single job begins at once while a batch of slow calls keeps the workers busy', async () => {
  upstream.script('slow', after(30_000, answer('late')));
  const batch = await batches.create({ requests: chats(200, 'up/slow') });
  await batches.until(batch.id, (each) => each.request_counts.in_progress >= CONCURRENCY - 1);
  const beganMs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const postedMs = Date.now();
    await baton.run({ model: 'up/instant' });
    beganMs.push(Date.now() - postedMs);
  }
  // Far less than the calls of the batch take, however busy the machine is.
  expect(Math.max(...beganMs)).toBeLessThan(5_000);
  expect((await batches.get(batch.id)).request_counts.in_progress).toBeLessThan(CONCURRENCY);
  await batches.post(`${batch.id}/cancel`);
  await batches.ended(batch.id);
});

it('the workers are handed no more than a window of a long backlog, and all of it runs', async () => {
  upstream.script('held', after(60_000, answer('never')));
  const batch = await batches.create({ requests: chats(1_500, 'up/held') });
  await batches.until(batch.id, begun);
  const seen: number[] = [];
  for (let look = 0; look < 15; look++) {
    seen.push(await rung());
    await delay(100);
  }
  expect(Math.max(...seen)).toBeLessThanOrEqual(500);
  expect(Math.max(...seen)).toBeGreaterThan(100);
  await batches.post(`${batch.id}/cancel`);
  await batches.ended(batch.id);
  expect(await rung()).toBe(0);
});

it('lines whose bells were lost are rung again', async () => {
  upstream.script('unheard', after(5, answer('heard')));
  const batch = await batches.create({ requests: chats(150, 'up/unheard') });
  await batches.post(`${batch.id}/pause`);
  await batches.until(batch.id, ({ status }) => status === 'in_progress');
  const id = toUuid('batch', batch.id);
  // As if all of them had been rung a while ago, and no message were left.
  await database.query('update batches set paused_at = null where id = $1', [id]);
  await database.query(
    `update batch_runs set is_open = true, rung_to = last.id, aged_to = last.id, aged_at = now() - interval '16 s'
     from (select batch_id, id from jobs where batch_id = $1 order by id desc limit 1) last
     where batch_runs.batch_id = last.batch_id`,
    [id],
  );
  const ended = await batches.ended(batch.id, 60_000);
  expect(ended.request_counts).toMatchObject({ total: 150, completed: 150 });
  expect(upstream.calls('unheard')).toHaveLength(150);
});

it('single jobs beyond the window wait, and all of them run', async () => {
  upstream.script('single', after(5, answer('one')));
  await Promise.all(Array.from({ length: 560 }, () => baton.submit({ model: 'up/single' })));
  expect(await rung()).toBeLessThanOrEqual(500);
  const completed = `select count(*)::int as count from jobs where model = 'up/single' and status = 'completed'`;
  const count = async () => (await database.query<{ count: number }>(completed)).rows[0]?.count;
  while ((await count()) !== 560) await delay(100);
  expect(upstream.calls('single')).toHaveLength(560);
});

it('a batch that comes later has its share, and ends before a long one that came first', async () => {
  upstream.script('share', after(30, answer('shared')));
  const long = await batches.create({ requests: chats(600, 'up/share') });
  await batches.until(long.id, begun);
  const short = await batches.run({ requests: chats(40, 'up/share') }, 120_000);
  expect(short.status).toBe('completed');
  const { completed, total } = (await batches.get(long.id)).request_counts;
  expect(total - completed).toBeGreaterThan(200);
  await batches.post(`${long.id}/cancel`);
  await batches.ended(long.id);
});

it('high runs before normal, and normal before low', async () => {
  const made: BatchReply[] = [];
  for (const priority of ['low', 'normal', 'high']) {
    upstream.script(priority, after(150, answer(priority)));
    const batch = await batches.create({ requests: chats(60, `up/${priority}`), priority });
    await batches.post(`${batch.id}/pause`);
    made.push(await batches.until(batch.id, ({ status }) => status === 'in_progress'));
  }
  // The lowest is let go first, so that nothing but its priority puts it last.
  for (const { id } of made) await batches.post(`${id}/resume`);
  for (const { id } of made) await batches.ended(id, 120_000);
  const order = upstream.calls().map(({ model }) => model);
  const lastOf = (model: string): number => order.lastIndexOf(model);
  expect(lastOf('high')).toBeLessThan(lastOf('normal'));
  expect(lastOf('normal')).toBeLessThan(lastOf('low'));
  const lowBeforeHigh = order.slice(0, lastOf('high')).filter((model) => model === 'low').length;
  expect(lowBeforeHigh).toBeLessThan(50);
});

it('low still moves while there is more of high than can be done', async () => {
  upstream.script('endless', after(20, answer('high')));
  upstream.script('patient', after(20, answer('low')));
  const high = await batches.create({ requests: chats(1_500, 'up/endless'), priority: 'high' });
  await batches.until(high.id, begun);
  const low = await batches.run({ requests: chats(40, 'up/patient'), priority: 'low' }, 120_000);
  expect(low.request_counts.completed).toBe(40);
  const { completed, total } = (await batches.get(high.id)).request_counts;
  expect(total - completed).toBeGreaterThan(200);
  // By its share: for each of low there were several of high.
  expect(completed).toBeGreaterThan(120);
  await batches.post(`${high.id}/cancel`);
  await batches.ended(high.id);
});

it('a line whose wait is over goes before those that have not begun', async () => {
  upstream.script(
    'busy',
    ...Array.from({ length: 5 }, () => fail(429, 'Busy.', { 'retry-after': '3' })),
    after(100, answer('ok')),
  );
  const requests = chats(400, 'up/busy');
  const batch = await batches.create({ requests });
  const ended = await batches.ended(batch.id, 120_000);
  expect(ended.request_counts.completed).toBe(400);
  const order = (await batches.results(batch.id)).map((line) => ({
    id: line.custom_id,
    attempts: line.baton.attempts,
  }));
  const waited = order.flatMap(({ attempts }, index) => (attempts > 1 ? [index] : []));
  expect(waited).toHaveLength(5);
  // 3 s are some 270 lines; a line that had to stand at the end would be among the last.
  expect(Math.max(...waited)).toBeLessThan(380);
});
