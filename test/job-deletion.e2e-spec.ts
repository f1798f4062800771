/** Jobs that are deleted by who made them. */
import { sql } from 'kysely';
import { type Database, openDatabase } from '../src/storage/database.js';
import { newUuid, toUuid } from '../src/storage/ids.js';
import { ageJob } from './support/aging.js';
import { BatchClient, chats } from './support/batch-client.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { TestBaton } from './support/test-baton.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

let database: TestDatabase;
let db: Database;
let baton: TestBaton;
let receiver: WebhookReceiver;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, () => undefined);
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({ database });
});

afterAll(async () => {
  await baton.stop();
  await db.destroy();
  await receiver.close();
  await database.drop();
});

async function rowsOf(jobId: string): Promise<number> {
  const id = toUuid('job', jobId);
  const { rows } = await sql<{ count: number }>`
    select (select count(*) from jobs where id = ${id}) + (select count(*) from job_requests where job_id = ${id})
      + (select count(*) from job_responses where job_id = ${id}) + (select count(*) from attempts where job_id = ${id})
      + (select count(*) from webhook_events where job_id = ${id})
      + (select count(*) from webhook_deliveries where job_id = ${id}) as count`.execute(db);
  return Number(rows[0]?.count);
}

const remove = (id: string) => baton.request('DELETE', `/v1/jobs/${id}`);

it('A job that has ended is deleted with all that hangs on it, once', async () => {
  const { id } = await baton.run({ model: 'sim/echo' });
  expect(await rowsOf(id)).toBe(4);
  const { status, body } = await remove(id);
  expect([status, body]).toEqual([200, { id, object: 'job', deleted: true }]);
  expect(await rowsOf(id)).toBe(0);
  expect((await baton.request('GET', `/v1/jobs/${id}`)).status).toBe(404);
  expect((await remove(id)).status).toBe(404);
});

it('A job that has not ended is not deleted', async () => {
  const { id } = await baton.submit({ model: 'sim/hang' });
  const { status, body, headers } = await remove(id);
  expect(status).toBe(409);
  expect(body['error']).toMatchObject({ code: 'job_not_ended', type: 'invalid_request_error' });
  expect(headers.get('x-should-retry')).toBe('false');
  await baton.request('POST', `/v1/jobs/${id}/cancel`);
  expect((await remove(id)).status).toBe(200);
});

it("Another project's job is not there to be deleted", async () => {
  const other = newUuid();
  await sql`insert into projects (id, name) values (${other}, 'other')`.execute(db);
  const id = await ageJob(db, (await baton.run({ model: 'sim/echo' })).id, 0, other);
  const { status, body } = await remove(id);
  expect([status, body]).toMatchObject([404, { error: { code: 'not_found' } }]);
  expect(await rowsOf(id)).toBe(4);
});

it('A line of a batch is not deleted alone', async () => {
  const batches = new BatchClient(baton);
  const batch = await batches.run({ requests: chats(1, 'sim/echo') });
  const [line] = await batches.results(batch.id);
  const { status, body } = await remove(String(line?.baton.job_id));
  expect([status, body]).toMatchObject([409, { error: { code: 'job_in_batch' } }]);
  expect(await batches.results(batch.id)).toHaveLength(1);
});

it('A job whose webhook is just being tried is deleted, and the worker goes on', async () => {
  receiver.script('/slow', 'hang');
  const { id } = await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url('/slow') });
  await receiver.waitFor('/slow', 1);
  expect((await remove(id)).status).toBe(200);
  expect(await rowsOf(id)).toBe(0);
  await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url('/next') });
  await receiver.waitFor('/next', 1);
  // The try ends 15 s after it began, and finds nothing to be written down.
  await eventually(async () => {
    const { text } = await baton.request('GET', '/metrics');
    return /baton_webhook_tries_total\{outcome="failed"\} 1/.test(text);
  });
  await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url('/after') });
  await receiver.waitFor('/after', 1);
  expect(receiver.received('/slow')).toHaveLength(1);
  const { rows } = await sql`select 1 from webhook_deliveries where lease_until is not null`.execute(db);
  expect(rows).toHaveLength(0);
}, 40_000);
