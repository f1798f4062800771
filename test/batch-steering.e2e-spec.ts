/** A batch that does not simply run to its end: paused, cancelled, out of time, stopped by its own limits, its failures run again. */
import { Client } from 'pg';
import { toUuid } from '../src/storage/ids.js';
import { BatchClient, type BatchReply, chats, idsOf, type ResultLine } from './support/batch-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { until } from './support/until.js';
import { type JobReply, type Reply, TestBaton } from './support/test-baton.js';
import { after, answer, fail, hang } from './support/upstream-behaviours.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

const CONCURRENCY = 4;

let upstream: ScriptedUpstream;
let receiver: WebhookReceiver;
let baton: TestBaton;
let batches: BatchClient;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: String(CONCURRENCY) },
    file: {
      providers: { a: { base_url: upstream.url, api_key: 'key-of-a', protect: false } },
      // A call that hangs ends soon: the worker learned the deadline before a test moves it.
      policies: {
        brief: { steps: [{ model: 'a/endless', timeout_ms: 1500 }], rounds: 100, max_attempts: 1000 },
      },
      models: { 'a/dear': { input_usd_per_mtok: 1000, output_usd_per_mtok: 1000 } },
    },
  });
  batches = new BatchClient(baton);
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
  await receiver.close();
});

/** Moves the end of a batch's time, and that of its jobs, so many seconds from now. */
async function expireIn(batch: BatchReply, seconds: number): Promise<void> {
  const client = new Client({ connectionString: baton.database.url });
  await client.connect();
  const uuid = toUuid('batch', batch.id);
  const when = `now() + interval '${seconds} seconds'`;
  await client.query(`update batches set expires_at = ${when} where id = $1`, [uuid]);
  await client.query(`update jobs set expires_at = ${when} where batch_id = $1`, [uuid]);
  await client.end();
}

async function jobsOf(batch: BatchReply, query = ''): Promise<JobReply[]> {
  const { body } = await baton.request('GET', `/v1/jobs?batch_id=${batch.id}&limit=100${query}`);
  return body['data'] as JobReply[];
}

/** Both files of a batch, which together must have each of its lines once. */
async function allLines(
  batch: BatchReply,
  count: number,
): Promise<{ output: ResultLine[]; errors: ResultLine[] }> {
  const files = await batches.files(batch);
  expect(idsOf([...files.output, ...files.errors])).toEqual(idsOf(chats(count, '')));
  expect(files.output).toHaveLength(batch.request_counts.completed);
  return files;
}

/** A batch of which some lines are done and the others hang. */
async function halfDone(
  model: string,
  count: number,
  done: number,
  asked = `a/${model}`,
): Promise<BatchReply> {
  upstream.script(model, ...Array.from({ length: done }, () => answer()), hang());
  const { id } = await batches.create({ requests: chats(count, asked) });
  return batches.until(
    id,
    ({ request_counts: counts }) => counts.completed === done && counts.in_progress > 0,
  );
}

describe('a batch that is paused', () => {
  it('lets no further line begin, and goes on where it was when it is resumed', async () => {
    upstream.script('slow', after(150, answer()));
    const { id } = await batches.create({ requests: chats(40, 'a/slow') });
    await batches.until(id, (batch) => batch.request_counts.completed > 0);
    const paused = await batches.post(`${id}/pause`);
    expect(paused).toMatchObject({ status: 'in_progress', paused_at: expect.any(Number) });
    // What was about to begin when the pause came still runs to its end.
    const isStill = ({ request_counts: { completed, in_progress: running } }: BatchReply) =>
      running === 0 && completed === upstream.calls('slow').length;
    await batches.until(id, isStill);
    const calls = upstream.calls('slow').length;
    expect(calls).toBeLessThan(40);
    // Other work goes through a worker that a paused batch does not hold.
    for (let i = 0; i < 3; i++) expect((await baton.run({ model: 'sim/echo' })).status).toBe('completed');
    expect(upstream.calls('slow')).toHaveLength(calls);
    expect((await batches.get(id)).status).toBe('in_progress');
    expect(await batches.post(`${id}/resume`)).toMatchObject({ paused_at: null });
    const ended = await batches.ended(id);
    expect(ended).toMatchObject({ status: 'completed', request_counts: { completed: 40 }, paused_at: null });
    expect(upstream.calls('slow')).toHaveLength(40);
    await allLines(ended, 40);
  });

  it('may be paused and resumed twice, and be cancelled', async () => {
    const batch = await halfDone('held', 12, 3);
    const first = await batches.post(`${batch.id}/pause`);
    expect(await batches.post(`${batch.id}/pause`)).toMatchObject({ paused_at: first.paused_at });
    await batches.post(`${batch.id}/resume`);
    expect(await batches.post(`${batch.id}/resume`)).toMatchObject({ paused_at: null });
    await batches.post(`${batch.id}/pause`);
    await batches.post(`${batch.id}/cancel`);
    expect(await batches.ended(batch.id)).toMatchObject({
      status: 'cancelled',
      request_counts: { cancelled: 9 },
    });
  });

  it('is no more to be paused, resumed or cancelled when it has ended', async () => {
    const { id } = await batches.run({ requests: chats(1, 'sim/echo') });
    for (const deed of ['pause', 'resume', 'cancel']) {
      const { status, body } = await baton.request('POST', `/v1/batches/${id}/${deed}`);
      expect([deed, status, body.error?.['code']]).toEqual([deed, 409, 'batch_not_running']);
    }
  });
});

describe('a batch that is cancelled', () => {
  it('stops its calls, keeps what is done, and says of each other line that it was cancelled', async () => {
    const batch = await halfDone('cut-off', 50, 10);
    const cancelling = await batches.post(`${batch.id}/cancel`);
    expect(['cancelling', 'cancelled']).toContain(cancelling.status);
    expect(cancelling.cancelling_at).not.toBeNull();
    const ended = await batches.ended(batch.id);
    expect(ended).toMatchObject({
      status: 'cancelled',
      cancelled_at: expect.any(Number),
      completed_at: null,
      request_counts: { total: 50, completed: 10, failed: 0, cancelled: 40, expired: 0, in_progress: 0 },
      usage: { total_tokens: 170 },
    });
    const { errors } = await allLines(ended, 50);
    for (const line of errors) {
      expect(line).toMatchObject({ response: null, error: { code: 'batch_cancelled' } });
    }
    expect(upstream.calls('cut-off').length).toBeLessThanOrEqual(10 + CONCURRENCY);
    expect(await jobsOf(ended, '&status=queued')).toEqual([]);
    expect(await jobsOf(ended, '&status=in_progress')).toEqual([]);
    expect(await batches.post(`${batch.id}/cancel`)).toMatchObject({ id: batch.id, status: 'cancelled' });
  });

  it('before a line has run leaves nothing behind but its lines in the error file', async () => {
    const { id } = await batches.create({
      requests: chats(300, 'a/never'),
      webhook_url: receiver.url('/cancelled'),
    });
    await batches.post(`${id}/cancel`);
    const ended = await batches.ended(id);
    expect(ended.status).toBe('cancelled');
    const { total, completed, cancelled } = ended.request_counts;
    expect(completed + cancelled).toBe(total);
    const [event] = await receiver.waitFor('/cancelled', 1);
    expect(JSON.parse(String(event?.body))).toMatchObject({ type: 'batch.cancelled', data: { id } });
    expect(await jobsOf(ended, '&status=queued')).toEqual([]);
  });
});

describe('a batch whose time is over', () => {
  it('keeps what is done, and says of each other line that it expired', async () => {
    const batch = await halfDone('endless', 20, 5, 'policy/brief');
    await expireIn(batch, 1);
    const ended = await batches.ended(batch.id, 60_000);
    expect(ended).toMatchObject({
      status: 'expired',
      expired_at: expect.any(Number),
      completed_at: null,
      request_counts: { total: 20, completed: 5, failed: 0, cancelled: 0, expired: 15 },
      usage: { total_tokens: 85 },
    });
    const { errors } = await allLines(ended, 20);
    const expired = {
      code: 'batch_expired',
      message: 'This request could not be executed before the completion window expired.',
    };
    expect(errors.map((line) => [line.response, line.error])).toEqual(errors.map(() => [null, expired]));
  }, 90_000);

  it('expires although it is paused', async () => {
    const batch = await halfDone('endless', 10, 2, 'policy/brief');
    await batches.post(`${batch.id}/pause`);
    await expireIn(batch, 1);
    const ended = await batches.ended(batch.id, 60_000);
    expect(ended).toMatchObject({ status: 'expired', request_counts: { completed: 2, expired: 8 } });
    await allLines(ended, 10);
  }, 90_000);
});

describe('a batch with limits', () => {
  it('is stopped when it has cost what it may, and says so', async () => {
    upstream.script('dear', after(100, answer()));
    const batch = await batches.run({ requests: chats(60, 'a/dear'), max_cost_usd: 0.1 });
    // Each line costs 0.017 dollars.
    expect(batch).toMatchObject({
      status: 'failed',
      failed_at: expect.any(Number),
      errors: { data: [{ code: 'max_cost_exceeded', line: null }] },
    });
    expect(batch.cost_usd).toBeGreaterThanOrEqual(0.1);
    expect(batch.cost_usd).toBeLessThan(60 * 0.017);
    const { output, errors } = await allLines(batch, 60);
    expect(output.length).toBeGreaterThanOrEqual(6);
    expect(new Set(errors.map((line) => line.error?.code))).toEqual(new Set(['max_cost_exceeded']));
    // A call that was cut off by the stop may have been paid for all the same; it is told at its line, be it after the file was written.
    await until('its cost is that of its lines', async () => {
      const { cost_usd: told } = await batches.get(batch.id);
      const lines = await batches.results(batch.id);
      const paid = lines.reduce((sum, line) => sum + (line.baton.cost_usd ?? 0), 0);
      return lines.length === 60 && Math.abs((told ?? 0) - paid) < 1e-6;
    });
    expect(batch.cost_usd).toBeGreaterThanOrEqual(output.length * 0.017 - 1e-9);
  });

  it('is stopped when too great a share of its lines fail, and not while it is small', async () => {
    upstream.script('bad', after(20, fail(400, 'No.')));
    const batch = await batches.run({ requests: chats(200, 'a/bad'), max_error_rate: 0.5 });
    expect(batch).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'max_error_rate_exceeded', line: null }] },
      request_counts: { total: 200, completed: 0 },
    });
    expect(batch.request_counts.failed).toBeGreaterThanOrEqual(20);
    expect(batch.request_counts.failed).toBeLessThan(200);
    await allLines(batch, 200);
    const few = await batches.run({ requests: chats(5, 'a/bad'), max_error_rate: 0.5 });
    expect(few).toMatchObject({ status: 'completed', request_counts: { failed: 5 } });
  });

  it('runs to its end within them', async () => {
    upstream.script('good', answer());
    const limits = { max_cost_usd: 1, max_error_rate: 0 };
    const batch = await batches.run({ requests: chats(30, 'a/good'), ...limits });
    expect(batch).toMatchObject({ status: 'completed', ...limits, request_counts: { completed: 30 } });
  });
});

describe('the failed lines of a batch', () => {
  const retry = (id: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
    baton.request('POST', `/v1/batches/${id}/retry_failed`, body, headers);

  it('are run again as a batch of their own, with all that the first one had', async () => {
    upstream.script('moody', answer());
    upstream.script('ill', fail(400, 'Not today.'));
    const requests = [...chats(6, 'a/ill'), ...chats(10, 'a/moody').slice(6)];
    const more = { metadata: { a: 'b' }, priority: 'high', max_error_rate: 1, completion_window: '2h' };
    const first = await batches.run({ requests, ...more });
    expect(first.request_counts).toMatchObject({ completed: 4, failed: 6 });
    upstream.script('ill', answer('better'));
    const { status, body } = await retry(first.id);
    expect([status, body['status'], body['retry_of']]).toEqual([200, 'validating', first.id]);
    const second = await batches.ended(String(body['id']));
    expect(second).toMatchObject({
      status: 'completed',
      retry_of: first.id,
      ...more,
      request_counts: { total: 6, completed: 6 },
    });
    expect(idsOf((await batches.files(second)).output)).toEqual(idsOf(chats(6, '')));
    expect(await batches.get(first.id)).toEqual(first);
    expect((await retry(second.id)).body.error).toMatchObject({ code: 'nothing_to_retry' });
  });

  it('cannot be run again before the batch has ended, nor if there are none', async () => {
    const batch = await halfDone('running', 6, 1);
    const early = await retry(batch.id);
    expect([early.status, early.body.error?.['code']]).toEqual([409, 'batch_not_ended']);
    await batches.post(`${batch.id}/cancel`);
    await batches.ended(batch.id);
    const none = await retry(batch.id);
    expect([none.status, none.body.error?.['code']]).toEqual([409, 'nothing_to_retry']);
    upstream.script('running', answer());
    const again = await retry(batch.id, { statuses: ['cancelled'] });
    const second = await batches.ended(String(again.body['id']));
    expect(second).toMatchObject({ status: 'completed', request_counts: { completed: 5 } });
  });

  it('are run again once for each Idempotency-Key', async () => {
    upstream.script('ill', fail(400, 'Not today.'));
    const { id } = await batches.run({ requests: chats(3, 'a/ill') });
    const key = { 'idempotency-key': 'again-please' };
    const [first, second] = await Promise.all([retry(id, undefined, key), retry(id, undefined, key)]);
    expect([first.status, second.status, first.body['id']]).toEqual([200, 200, second.body['id']]);
    await batches.ended(String(first.body['id']));
    const other = await batches.run({ requests: chats(2, 'a/ill') });
    const mismatch = await retry(other.id, undefined, key);
    expect([mismatch.status, mismatch.body.error?.['code']]).toEqual([422, 'idempotency_mismatch']);
  });
});
