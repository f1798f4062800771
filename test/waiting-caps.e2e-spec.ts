/** What waits is bounded, for each project and in all; who would pass a bound is told when to come again. */
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { after, answer } from './support/upstream-behaviours.js';
import { type Reply, TestBaton } from './support/test-baton.js';

let upstream: ScriptedUpstream;
let baton: TestBaton | undefined;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
});
afterEach(async () => {
  await baton?.stop();
  baton = undefined;
});
afterAll(() => upstream.close());

async function start(env: Record<string, string>): Promise<TestBaton> {
  baton = await TestBaton.start({
    env,
    file: { providers: { up: { kind: 'openai', base_url: upstream.url, api_key: 'a-key' } } },
  });
  return baton;
}

const LATER_S = 3_600;
/** A job that waits for its time. */
const waiting = (content = 'Hi') => ({
  request: { model: 'up/any', messages: [{ role: 'user', content }] },
  run_at: Math.floor(Date.now() / 1000) + LATER_S,
});
const post = (to: TestBaton, body: unknown, key?: string): Promise<Reply> =>
  to.request('POST', '/v1/jobs', body, key === undefined ? {} : { 'idempotency-key': key });
const codeOf = (reply: Reply): unknown => reply.body.error?.['code'];

/** The first reply that is as asked, of a request that is made again and again. */
async function until(isSo: (reply: Reply) => boolean, ask: () => Promise<Reply>): Promise<Reply> {
  const endMs = Date.now() + 20_000;
  for (;;) {
    const reply = await ask();
    if (isSo(reply)) return reply;
    if (Date.now() > endMs) throw new Error(`Still ${reply.status}: ${reply.text}`);
    await delay(50);
  }
}

it('a project may have as many jobs waiting as its cap says, to the job, however many submit at once', async () => {
  const it = await start({ PROJECT_MAX_WAITING_JOBS: '10' });
  const replies = await Promise.all(Array.from({ length: 30 }, () => post(it, waiting())));
  const accepted = replies.filter(({ status }) => status === 202);
  const refused = replies.filter(({ status }) => status === 429);
  expect([accepted.length, refused.length]).toEqual([10, 20]);
  for (const reply of refused) {
    expect(codeOf(reply)).toBe('queue_full');
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(reply.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(reply.headers.get('ratelimit-policy')).toBe('"waiting-jobs";q=10');
    expect(reply.headers.get('ratelimit')).toMatch(/^"waiting-jobs";r=0;t=\d+$/);
  }
  const { text } = await it.request('GET', '/metrics');
  expect(text).toContain('\nbaton_waiting_jobs 10\n');
  expect(text).toMatch(/\nbaton_waiting_bytes [1-9]\d+\n/);
});

it('there is room again for each job that no longer waits, and for no more', async () => {
  const it = await start({ PROJECT_MAX_WAITING_JOBS: '3' });
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push(String((await post(it, waiting())).body['id']));
  expect((await post(it, waiting())).status).toBe(429);
  await it.request('POST', `/v1/jobs/${ids[0]}/cancel`);
  await until(
    ({ status }) => status === 202,
    () => post(it, waiting()),
  );
  expect((await post(it, waiting())).status).toBe(429);
});

it('a repeated Idempotency-Key is answered however full it is, and a refused one is not used up', async () => {
  const it = await start({ PROJECT_MAX_WAITING_JOBS: '1' });
  const body = waiting();
  const first = await post(it, body, 'first');
  const other = waiting('other');
  expect((await post(it, other, 'other')).status).toBe(429);
  const again = await post(it, body, 'first');
  expect([again.status, again.text]).toEqual([202, first.text]);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  await it.request('POST', `/v1/jobs/${String(first.body['id'])}/cancel`);
  const late = await until(
    ({ status }) => status === 202,
    () => post(it, other, 'other'),
  );
  expect(late.headers.get('idempotent-replayed')).toBeNull();
});

it('the bytes of what waits are bounded, in UTF-8', async () => {
  const body = waiting('ä'.repeat(400));
  const bytes = Buffer.byteLength(JSON.stringify(body.request));
  const it = await start({ PROJECT_MAX_WAITING_BYTES: String(2 * bytes) });
  expect((await post(it, body)).status).toBe(202);
  expect((await post(it, body)).status).toBe(202);
  const refused = await post(it, waiting(''));
  expect([refused.status, codeOf(refused)]).toEqual([429, 'queue_full']);
  expect(refused.headers.get('ratelimit-policy')).toBe(`"waiting-bytes";q=${2 * bytes}`);
});

it('a start with a full queue knows it', async () => {
  const first = await start({ PROJECT_MAX_WAITING_JOBS: '2' });
  await post(first, waiting());
  await post(first, waiting());
  const second = await TestBaton.start({
    database: first.database,
    env: { PROJECT_MAX_WAITING_JOBS: '2' },
    file: { providers: { up: { kind: 'openai', base_url: upstream.url, api_key: 'a-key' } } },
  });
  try {
    expect((await post(second, waiting())).status).toBe(429);
  } finally {
    await second.stop();
  }
});

it('when as much waits in all as may, everybody is told that Baton is overloaded', async () => {
  const it = await start({ MAX_WAITING_JOBS: '2' });
  await post(it, waiting());
  await post(it, waiting());
  const refused = await post(it, waiting());
  expect([refused.status, codeOf(refused)]).toEqual([503, 'overloaded']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
});

it('a batch counts with each request of its body, before its lines are jobs and after', async () => {
  const it = await start({ PROJECT_MAX_WAITING_JOBS: '10' });
  const requests = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ custom_id: `c-${n}`, body: waiting().request }));
  const make = (count: number, key = 'none') =>
    it.request(
      'POST',
      '/v1/batches',
      { requests: requests(count), endpoint: '/v1/chat/completions', completion_window: '24h' },
      key === 'none' ? {} : { 'idempotency-key': key },
    );
  upstream.script('any', after(60_000, answer('never')));
  const tooMany = await make(11);
  expect([tooMany.status, codeOf(tooMany)]).toEqual([429, 'queue_full']);
  const made = await make(9, 'nine');
  expect(made.status).toBe(200);
  // Not one line of it is a job yet, or all of them are.
  expect((await make(2)).status).toBe(429);
  expect((await make(9, 'nine')).headers.get('idempotent-replayed')).toBe('true');
  await it.request('POST', `/v1/batches/${String(made.body['id'])}/cancel`);
  expect(
    (
      await until(
        ({ status }) => status === 200,
        () => make(10),
      )
    ).status,
  ).toBe(200);
});

it("OpenAI's own client gets through a queue that is full for a moment, by its own retries", async () => {
  const it = await start({ PROJECT_MAX_WAITING_JOBS: '1' });
  const blocking = await post(it, waiting());
  const client = new OpenAI({ baseURL: `${it.url}/v1`, apiKey: it.key, maxRetries: 3 });
  const asked = client.post('/jobs', { body: waiting() });
  // It has been refused once by then, or is about to be.
  await delay(200);
  await it.request('POST', `/v1/jobs/${String(blocking.body['id'])}/cancel`);
  expect(await asked).toMatchObject({ object: 'job', status: 'queued' });
});
