/** Jobs that are not to be stored: what is left of them, and from when on. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { RetentionSweeper } from '../src/retention/retention-sweeper.js';
import { type Database, openDatabase } from '../src/storage/database.js';
import { toUuid } from '../src/storage/ids.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { reply } from './support/upstream-behaviours.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

const SECRET = 'the-text-that-must-go';
const messages = [{ role: 'user', content: SECRET }];

let database: TestDatabase;
let db: Database;
let baton: TestBaton;
let receiver: WebhookReceiver;
let upstream: ScriptedUpstream;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, () => undefined);
  receiver = await WebhookReceiver.start();
  upstream = await ScriptedUpstream.start();
  const a = { kind: 'openai', base_url: upstream.url, api_key: 'key-of-a' };
  baton = await TestBaton.start({ database, file: { providers: { a } } });
});

afterAll(async () => {
  await baton.stop();
  await db.destroy();
  await receiver.close();
  await upstream.close();
  await database.drop();
});

const sweep = () => baton.baton.app.get(RetentionSweeper).sweep();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Lets so many minutes pass since the job's end. */
async function pass(jobId: string, minutes: number): Promise<void> {
  await sql`update jobs set finished_at = finished_at - make_interval(mins => ${minutes})
    where id = ${toUuid('job', jobId)}`.execute(db);
}

/** In which tables of this project's jobs the text still stands. */
async function placesOf(text: string): Promise<string[]> {
  const tables = [
    'jobs',
    'job_requests',
    'job_responses',
    'attempts',
    'webhook_events',
    'webhook_deliveries',
    'webhook_tries',
  ];
  const found: string[] = [];
  for (const table of tables) {
    const { rows } = await sql`select 1 from ${sql.table(table)} t where t::text like ${`%${text}%`}`.execute(
      db,
    );
    if (rows.length > 0) found.push(table);
  }
  return found;
}

async function settled(jobId: string, deliveries: number): Promise<void> {
  await eventually(async () => {
    const { body } = await baton.request('GET', `/v1/jobs/${jobId}/deliveries`);
    const data = body['data'] as { status: string }[];
    return data.length === deliveries && data.every(({ status }) => status !== 'pending');
  });
}

async function register(path: string, include_result: boolean): Promise<string> {
  const { body } = await baton.request('POST', '/v1/webhook_endpoints', {
    name: path,
    url: receiver.url(path),
    event_types: ['job.completed'],
    include_result,
  });
  return String(body['id']);
}

async function bodiesOf(job: JobReply): Promise<{ request: string; response: string }> {
  const { rows } = await sql<{ request: string; response: string }>`
    select q.body as request, r.body as response from job_requests q join job_responses r using (job_id)
    where job_id = ${toUuid('job', job.id)}`.execute(db);
  if (!rows[0]) throw new Error('There are no bodies');
  return rows[0];
}

describe('A job with store: false', () => {
  it('is whole for an hour after its end, and then nothing but hashes, usage and outcomes', async () => {
    const job = await baton.run({ model: 'sim/echo', messages }, { store: false, metadata: { order: '17' } });
    expect(job).toMatchObject({
      store: false,
      request: { messages },
      request_sha256: null,
      response_sha256: null,
    });
    const bodies = await bodiesOf(job);
    await pass(job.id, 59);
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: { messages }, response: { status_code: 200 } });
    await pass(job.id, 2);
    await sweep();
    const { request, response, request_sha256, response_sha256, ...rest } = await baton.job(job.id);
    expect({ request, response, request_sha256, response_sha256 }).toEqual({
      request: null,
      response: { ...job.response, body: null },
      request_sha256: sha256(bodies.request),
      response_sha256: sha256(bodies.response),
    });
    for (const field of ['usage', 'cost_usd', 'metadata', 'status', 'served_by', 'attempts', 'store']) {
      expect(rest[field]).toEqual(job[field]);
    }
    expect(await placesOf(SECRET)).toEqual([]);
  });

  it('that is not asked for stays as it is', async () => {
    const job = await baton.run({ model: 'sim/echo', messages });
    expect(job).toMatchObject({ store: true });
    await pass(job.id, 10_000);
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: { messages }, response: { status_code: 200 } });
    await baton.request('DELETE', `/v1/jobs/${job.id}`);
  });

  it('is forgotten at once when an endpoint was sent the whole result', async () => {
    const endpoint = await register('/whole', true);
    // Receivers may answer with what they were sent.
    receiver.script('/whole', { status: 200, body: `thank you for ${SECRET}` }, { status: 200 });
    const job = await baton.run({ model: 'sim/echo', messages }, { store: false });
    await settled(job.id, 1);
    expect(await placesOf(SECRET)).toContain('webhook_tries');
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: null, response: { body: null } });
    expect(receiver.received('/whole')[0]?.body.toString()).toContain(SECRET);
    expect(await placesOf(SECRET)).toEqual([]);

    // Sent anew, the event is the same without the result.
    const { body } = await baton.request('GET', `/v1/jobs/${job.id}/deliveries`);
    const [delivery] = body['data'] as { id: string }[];
    await baton.request('POST', `/v1/webhook_deliveries/${String(delivery?.id)}/resend`);
    const [, again] = await receiver.waitFor('/whole', 2);
    const event = JSON.parse(again?.body.toString() ?? '') as { data: Record<string, unknown> };
    expect(event.data).toMatchObject({ id: job.id, status: 'completed' });
    expect(Object.keys(event.data)).not.toContain('result');
    await baton.request('DELETE', `/v1/webhook_endpoints/${endpoint}`);
  });

  it('is not forgotten before the hour for an endpoint that had no result, whatever it asks for afterwards', async () => {
    const endpoint = await register('/bare', false);
    const job = await baton.run({ model: 'sim/echo', messages }, { store: false });
    await settled(job.id, 1);
    await baton.request('POST', `/v1/webhook_endpoints/${endpoint}`, { include_result: true });
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: { messages } });
    await pass(job.id, 61);
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: null });
    await baton.request('DELETE', `/v1/webhook_endpoints/${endpoint}`);
  });

  it('is not forgotten before the hour when the result was too large to be sent along', async () => {
    const endpoint = await register('/large', true);
    const content = SECRET + 'x'.repeat(300 * 1024);
    const job = await baton.run(
      { model: 'sim/echo', messages: [{ role: 'user', content }] },
      { store: false },
    );
    await settled(job.id, 1);
    expect(receiver.received('/large')[0]?.body.toString()).toContain('result_url');
    await sweep();
    expect((await baton.job(job.id)).request).not.toBeNull();
    await pass(job.id, 61);
    await sweep();
    expect((await baton.job(job.id)).request).toBeNull();
    await baton.request('DELETE', `/v1/webhook_endpoints/${endpoint}`);
  });

  it('is whole while a delivery is pending, however long ago it ended and whoever else had it', async () => {
    const endpoint = await register('/one', true);
    receiver.script('/other', { status: 500 });
    const envelope = { store: false, webhook_url: receiver.url('/other') };
    const job = await baton.run({ model: 'sim/echo', messages }, envelope);
    await receiver.waitFor('/one', 1);
    await receiver.waitFor('/other', 1);
    await pass(job.id, 600);
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: { messages } });
    await sql`update webhook_deliveries set status = 'failed', finished_at = now(), lease_until = null
      where job_id = ${toUuid('job', job.id)} and endpoint_id is null`.execute(db);
    await settled(job.id, 2);
    await sweep();
    expect(await baton.job(job.id)).toMatchObject({ request: null });
    await baton.request('DELETE', `/v1/webhook_endpoints/${endpoint}`);
  });

  it('that failed keeps the class of its error, and not what the provider said', async () => {
    upstream.script(
      'bad',
      reply(400, { error: { message: `No ${SECRET} here.`, type: 'invalid_request_error' } }),
    );
    const job = await baton.run({ model: 'a/bad', messages }, { store: false });
    expect(job.error?.message).toContain(SECRET);
    await pass(job.id, 61);
    await sweep();
    const after = await baton.job(job.id);
    expect(after.error).toEqual({ code: job.error?.code, message: 'What the provider said was not stored.' });
    expect(after.attempts[0]).toMatchObject({
      outcome: 'failed',
      class: job.error?.code,
      http_status: 400,
      message: null,
    });
    expect(await placesOf(SECRET)).toEqual([]);
  });

  it('that has not ended is not forgotten', async () => {
    const run_at = Math.floor(Date.now() / 1000) + 86_400;
    const { id } = await baton.submit({ model: 'sim/echo', messages }, { store: false, run_at });
    await sql`update jobs set created_at = now() - interval '3 days' where id = ${toUuid('job', id)}`.execute(
      db,
    );
    await sweep();
    expect(await baton.job(id)).toMatchObject({ request: { messages } });
    await baton.request('POST', `/v1/jobs/${id}/cancel`);
    await baton.request('DELETE', `/v1/jobs/${id}`);
  });

  it('is answered with the first reply when it is sent again with its idempotency key', async () => {
    const body = { request: { model: 'sim/echo', messages }, store: false };
    const headers = { 'idempotency-key': 'forgotten' };
    const first = await baton.request('POST', '/v1/jobs', body, headers);
    const id = String(first.body['id']);
    await baton.ended(id);
    await pass(id, 61);
    await sweep();
    expect(await baton.job(id)).toMatchObject({ request: null });
    const again = await baton.request('POST', '/v1/jobs', body, headers);
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, 'true']);
    expect(again.text).toBe(first.text);
    const other = await baton.request('POST', '/v1/jobs', { ...body, store: true }, headers);
    expect([other.status, other.body]).toMatchObject([422, { error: { code: 'idempotency_mismatch' } }]);
  });

  it('is forgotten step by step among many', async () => {
    await sql`
      with made as (
        insert into jobs (id, project_id, status, endpoint, model, chain_id, priority, metadata, store, finished_at, expires_at)
        select gen_random_uuid(), (select id from projects limit 1), 'completed', '/v1/chat/completions', 'sim/echo',
          (select id from chains limit 1), 1, '{}', false, now() - interval '2 hours', now() from generate_series(1, 1200)
        returning id, project_id)
      insert into job_requests (job_id, project_id, body) select id, project_id, ${SECRET} from made`.execute(
      db,
    );
    await sweep();
    expect(await placesOf(SECRET)).toEqual([]);
  });

  it.each([['no'], [0], [{}]])('with %j in its place is refused', async (store) => {
    const body = { request: { model: 'sim/echo', messages }, store };
    const { status, body: answer } = await baton.request('POST', '/v1/jobs', body);
    expect([status, answer]).toMatchObject([400, { error: { code: 'invalid_value', param: 'store' } }]);
  });
});
