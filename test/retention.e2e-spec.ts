/** What is removed when it is old, and not before: the database's times are moved, and the sweep of a whole Baton is asked for. */
import { sql } from 'kysely';
import { v7 } from 'uuid';
import { JobRemover } from '../src/jobs/job-remover.js';
import type { KeptProject, Removed } from '../src/retention/remover.js';
import { RetentionSweeper } from '../src/retention/retention-sweeper.js';
import { type Database, openDatabase } from '../src/storage/database.js';
import { newUuid, toUuid } from '../src/storage/ids.js';
import { ageBatch, ageJob } from './support/aging.js';
import { BatchClient, chat, chats } from './support/batch-client.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { TestBaton } from './support/test-baton.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

const DEFAULT_PROJECT = '01900000-0000-7000-8000-000000000001';
/** Just less, and just more, than so many days. */
const UNDER = (days: number) => days - 0.01;
const OVER = (days: number) => days + 0.01;
const OTHER_PROJECT = newUuid();

let database: TestDatabase;
let db: Database;
let baton: TestBaton;
let batches: BatchClient;
let receiver: WebhookReceiver;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, () => undefined);
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({
    database,
    file: {
      retention: {
        jobs_days: 10,
        batches_days: 20,
        deliveries_days: 5,
        files_days: 3,
        projects: { other: { jobs_days: 2 } },
      },
    },
  });
  batches = new BatchClient(baton);
  await sql`insert into projects (id, name) values (${OTHER_PROJECT}, 'other')`.execute(db);
});

afterAll(async () => {
  await baton.stop();
  await db.destroy();
  await receiver.close();
  await database.drop();
});

async function sweep(): Promise<void> {
  await baton.baton.app.get(RetentionSweeper).sweep();
}

async function isThere(path: string): Promise<boolean> {
  const { status } = await baton.request('GET', path);
  if (status !== 200 && status !== 404) throw new Error(`${path}: ${status}`);
  return status === 200;
}

async function count(table: string, column?: string, value?: string | null): Promise<number> {
  const where = column === undefined ? sql`` : sql`where ${sql.ref(column)} = ${value}`;
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from ${sql.table(table)} ${where}`.execute(db);
  return rows[0]?.count ?? NaN;
}

/** A job whose delivery has arrived. */
async function toldJob(path: string): Promise<string> {
  const { id } = await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url(path) });
  await eventually(async () => {
    const { body } = await baton.request('GET', `/v1/jobs/${id}/deliveries`);
    return (body['data'] as { status: string }[])[0]?.status === 'succeeded';
  });
  return id;
}

describe('A single job', () => {
  // First, and it stays: ids are never older than those that were seen before, as a walk relies on.
  it('that has not ended stays, however old it is', async () => {
    const later = Math.floor(Date.now() / 1000) + 86_400 * 3_000;
    const id = await ageJob(db, (await baton.submit({ model: 'sim/echo' }, { run_at: later })).id, 1_000);
    await sql`update jobs set expires_at = now() + interval '9 years', due_at = now() + interval '8 years'
      where id = ${toUuid('job', id)}`.execute(db);
    await sweep();
    expect((await baton.job(id)).status).toBe('queued');
    await baton.request('POST', `/v1/jobs/${id}/cancel`);
    await sweep();
    expect((await baton.job(id)).status).toBe('cancelled');
  });

  it('is removed when it ended longer ago than jobs_days, with all that hangs on it, and not before', async () => {
    const young = await ageJob(db, await toldJob('/young'), UNDER(10));
    const old = await ageJob(db, await toldJob('/old'), OVER(10));
    await sweep();
    expect([await isThere(`/v1/jobs/${young}`), await isThere(`/v1/jobs/${old}`)]).toEqual([true, false]);
    const tables = ['job_requests', 'job_responses', 'attempts', 'webhook_events', 'webhook_deliveries'];
    for (const table of tables) {
      expect(await count(table, 'job_id', toUuid('job', old))).toBe(0);
      expect(await count(table, 'job_id', toUuid('job', young))).toBe(1);
    }
    expect(await count('webhook_tries')).toBe(1);
    expect((await baton.request('GET', '/metrics')).text).toMatch(
      /baton_retention_removed_total\{kind="job"\} 1/,
    );
  });

  it('counts from its end, not from when it was submitted', async () => {
    const id = await ageJob(db, (await baton.run({ model: 'sim/echo' })).id, 40);
    await sql`update jobs set finished_at = now() - interval '9 days' where id = ${toUuid('job', id)}`.execute(
      db,
    );
    await sweep();
    expect(await isThere(`/v1/jobs/${id}`)).toBe(true);
    await sql`update jobs set finished_at = now() - interval '11 days' where id = ${toUuid('job', id)}`.execute(
      db,
    );
    await sweep();
    expect(await isThere(`/v1/jobs/${id}`)).toBe(false);
  });

  it('of a project with days of its own goes by those', async () => {
    const own = await ageJob(db, (await baton.run({ model: 'sim/echo' })).id, 3, OTHER_PROJECT);
    const younger = await ageJob(db, (await baton.run({ model: 'sim/echo' })).id, 1, OTHER_PROJECT);
    const mine = await ageJob(db, (await baton.run({ model: 'sim/echo' })).id, 3);
    await sweep();
    expect(await count('jobs', 'id', toUuid('job', own))).toBe(0);
    expect(await count('jobs', 'id', toUuid('job', younger))).toBe(1);
    expect(await isThere(`/v1/jobs/${mine}`)).toBe(true);
  });

  it('stays while a delivery of its end is pending, and goes in the sweep after its end', async () => {
    receiver.script('/held', { status: 500 });
    const job = await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url('/held') });
    await receiver.waitFor('/held', 1);
    const id = await ageJob(db, job.id, 50);
    await sweep();
    expect(await isThere(`/v1/jobs/${id}`)).toBe(true);
    await sql`update webhook_deliveries set status = 'failed', finished_at = now()
      where job_id = ${toUuid('job', id)}`.execute(db);
    await sweep();
    expect(await isThere(`/v1/jobs/${id}`)).toBe(false);
  });
});

/** Makes so many ended jobs of a project, that long ago, out of nothing. */
async function seed(projectId: string, jobs: number, days: number): Promise<void> {
  const ids = Array.from({ length: jobs }, () => v7({ msecs: Date.now() - days * 86_400_000 }));
  await sql`
    insert into jobs (id, project_id, status, endpoint, model, chain_id, priority, metadata, created_at, finished_at, expires_at)
    select id, ${projectId}, 'completed', '/v1/chat/completions', 'sim/echo', (select id from chains limit 1), 1, '{}',
      at, at, now() from unnest(${ids}::uuid[]) as id, (select now() - make_interval(secs => ${days * 86_400}) as at) t`.execute(
    db,
  );
}

async function stepsOf(walk: AsyncGenerator<Removed>): Promise<number[]> {
  const counts: number[] = [];
  for await (const { count } of walk) counts.push(count);
  return counts;
}

describe('A walk through jobs', () => {
  const never = { jobs: null, batches: null, deliveries: null, files: null };
  const projects: KeptProject[] = [
    { id: DEFAULT_PROJECT, cutoffs: { ...never, jobs: new Date(Date.now() - 30 * 86_400_000) } },
  ];

  it('removes 500 at a time at most', async () => {
    await seed(DEFAULT_PROJECT, 1_200, 40);
    expect(await stepsOf(baton.baton.app.get(JobRemover).walk(projects))).toEqual([500, 500, 200]);
    expect(await stepsOf(baton.baton.app.get(JobRemover).walk(projects))).toEqual([0]);
  });

  it('by several processes at once removes each job once, and leaves none', async () => {
    await baton.run({ model: 'sim/echo' });
    await seed(DEFAULT_PROJECT, 1_500, 40);
    const second = await TestBaton.start({ database });
    const both = [baton, second].map((each) => stepsOf(each.baton.app.get(JobRemover).walk(projects)));
    const counts = (await Promise.all(both)).flat();
    // What one of them had when the other came by is the next walk's.
    const rest = await stepsOf(baton.baton.app.get(JobRemover).walk(projects));
    await second.stop();
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
    expect(sum(counts) + sum(rest)).toBe(1_500);
    const { rows } = await sql`select 1 from jobs where finished_at < now() - interval '30 days'`.execute(db);
    expect(rows).toHaveLength(0);
  });

  it('looks behind more rows that must stay than one step looks at', async () => {
    await sql`insert into batch_runs (batch_id, project_id, priority, is_open)
      values (${DEFAULT_PROJECT}, ${DEFAULT_PROJECT}, 1, false)`.execute(db);
    await seed(DEFAULT_PROJECT, 4_500, 41);
    await sql`update jobs set batch_id = ${DEFAULT_PROJECT}, custom_id = id::text
      where finished_at < now() - interval '40 days'`.execute(db);
    await seed(DEFAULT_PROJECT, 3, 40);
    const counts = await stepsOf(baton.baton.app.get(JobRemover).walk(projects));
    expect(counts.reduce((a, b) => a + b, 0)).toBe(3);
    expect(await count('jobs', 'batch_id', DEFAULT_PROJECT)).toBe(4_500);
    await sql`delete from jobs where batch_id = ${DEFAULT_PROJECT}`.execute(db);
    await sql`delete from batch_runs where batch_id = ${DEFAULT_PROJECT}`.execute(db);
  });
});

describe('A batch', () => {
  it('is removed with its lines when it ended longer ago than batches_days, whatever jobs_days says', async () => {
    const fields = {
      requests: [...chats(3, 'sim/echo'), chat('bad', 'nobody/x')],
      accept_invalid_lines: true,
    };
    const made = await batches.run(fields);
    const id = await ageBatch(db, made.id, UNDER(20));
    await sql`update jobs set finished_at = finished_at - interval '30 days' where batch_id = ${toUuid('batch', id)}`.execute(
      db,
    );
    await sweep();
    expect(await batches.results(id)).toHaveLength(3);
    expect(await count('batch_rejects', 'batch_id', toUuid('batch', id))).toBe(1);

    const older = await ageBatch(db, id, OVER(20));
    await sql`update batches set completed_at = now() - interval '20.01 days' where id = ${toUuid('batch', older)}`.execute(
      db,
    );
    await sweep();
    expect(await isThere(`/v1/batches/${older}`)).toBe(false);
    for (const table of ['jobs', 'batch_rejects', 'batch_runs', 'batch_tallies']) {
      expect(await count(table, 'batch_id', toUuid('batch', older))).toBe(0);
    }
  });

  it('with more lines than one step goes step by step, and the batch last', async () => {
    const made = await batches.run({ requests: chats(1_100, 'sim/echo') }, 60_000);
    const id = await ageBatch(db, made.id, 30);
    const before = (await baton.request('GET', '/metrics')).text;
    await sweep();
    expect(await isThere(`/v1/batches/${id}`)).toBe(false);
    expect(await count('jobs', 'batch_id', toUuid('batch', id))).toBe(0);
    const removed = (text: string) => Number(/removed_total\{kind="line"\} (\d+)/.exec(text)?.[1] ?? 0);
    expect(removed((await baton.request('GET', '/metrics')).text) - removed(before)).toBe(1_100);
  }, 90_000);

  it('that has not ended stays, however old it is', async () => {
    const made = await batches.create({ requests: chats(2, 'sim/hang') });
    await batches.until(made.id, ({ status }) => status === 'in_progress');
    await batches.post(`${made.id}/pause`);
    await eventually(async () => (await batches.get(made.id)).paused_at !== null);
    const id = await ageBatch(db, made.id, 400);
    await sweep();
    expect((await batches.get(id)).request_counts.total).toBe(2);
    await batches.post(`${id}/cancel`);
    await batches.ended(id);
  }, 60_000);
});

describe('What was told of a batch', () => {
  it('goes by deliveries_days, once none of its deliveries is pending', async () => {
    receiver.script('/batch', { status: 500 });
    const made = await batches.run({ requests: chats(1, 'sim/echo'), webhook_url: receiver.url('/batch') });
    await receiver.waitFor('/batch', 1);
    const batchId = toUuid('batch', made.id);
    const pass = (days: number) =>
      sql`update webhook_events set created_at = now() - make_interval(secs => ${days * 86_400})
        where batch_id = ${batchId}`.execute(db);
    const end = sql`update webhook_deliveries set status = 'failed', finished_at = now() where batch_id = ${batchId}`;
    await pass(OVER(5));
    await sweep();
    expect(await count('webhook_events', 'batch_id', batchId)).toBe(1);
    await end.execute(db);
    await pass(UNDER(5));
    await sweep();
    expect(await count('webhook_events', 'batch_id', batchId)).toBe(1);
    await pass(OVER(5));
    await sweep();
    expect(await count('webhook_events', 'batch_id', batchId)).toBe(0);
    expect(await count('webhook_deliveries', 'batch_id', batchId)).toBe(0);
    expect(await isThere(`/v1/batches/${made.id}`)).toBe(true);
  });

  it('is removed step by step', async () => {
    const insert = sql`
      insert into webhook_events (id, project_id, type, data, created_at)
      select gen_random_uuid(), ${DEFAULT_PROJECT}, 'batch.completed', '{}', now() - interval '6 days' from generate_series(1, 1200)`;
    await insert.execute(db);
    await sweep();
    const { rows } =
      await sql`select 1 from webhook_events where created_at < now() - interval '5 days'`.execute(db);
    expect(rows).toHaveLength(0);
  });
});

describe('A file', () => {
  async function ageFile(id: string, days: number): Promise<string> {
    const uuid = v7({ msecs: Date.now() - days * 86_400_000 });
    const old = toUuid('file', id);
    await sql`update files set id = ${uuid}, created_at = now() - make_interval(secs => ${days * 86_400})
      where id = ${old}`.execute(db);
    await sql`update blob_chunks set blob_id = ${uuid} where blob_id = ${old}`.execute(db);
    return uuid;
  }
  const statusOf = async (uuid: string) =>
    (await sql<{ status: string }>`select status from files where id = ${uuid}`.execute(db)).rows[0]?.status;

  it('goes when it is older than files_days, unless a batch still reads it', async () => {
    const young = await ageFile(await batches.upload('a'), UNDER(3));
    const old = await ageFile(await batches.upload('b'), OVER(3));
    const read = await ageFile(await batches.upload('c'), OVER(3));
    const batchId = newUuid();
    await sql`
      insert into batches (id, project_id, endpoint, completion_window, priority, metadata, input_file_id, output_expires_in,
        accept_invalid_lines, dedupe, expires_at, due_at)
      values (${batchId}, ${DEFAULT_PROJECT}, '/v1/chat/completions', '24h', 1, '{}', ${read}, 3600, false, false,
        now() + interval '1 day', now() + interval '1 hour')`.execute(db);
    await sweep();
    expect(await Promise.all([young, old, read].map(statusOf))).toEqual(['ready', 'deleted', 'ready']);
    await sql`delete from batches where id = ${batchId}`.execute(db);
    await sweep();
    expect(await statusOf(read)).toBe('deleted');
  });
});

describe('Idempotency keys', () => {
  it('go when they are worn out, step by step, and stay while their job is unfinished', async () => {
    const headers = { 'idempotency-key': 'a-key-that-stays' };
    const run_at = Math.floor(Date.now() / 1000) + 86_400;
    const request = { model: 'sim/echo', messages: [] };
    const { body } = await baton.request('POST', '/v1/jobs', { request, run_at }, headers);
    await sql`
      insert into idempotency_keys (project_id, route, key, digest, resource_id)
      select ${DEFAULT_PROJECT}, 'POST /v1/jobs', 'k' || n, '', gen_random_uuid() from generate_series(1, 1100) n`.execute(
      db,
    );
    await sweep();
    expect(await count('idempotency_keys')).toBe(1_101);
    await sql`update idempotency_keys set created_at = now() - interval '25 hours'`.execute(db);
    await sweep();
    const { rows } = await sql<{ key: string }>`select key from idempotency_keys`.execute(db);
    expect(rows).toEqual([{ key: 'a-key-that-stays' }]);
    await baton.request('POST', `/v1/jobs/${String(body['id'])}/cancel`);
    await sweep();
    expect(await count('idempotency_keys')).toBe(0);
  });
});
