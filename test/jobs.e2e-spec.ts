/** The main job through the front door: accepted, run down its chain over real HTTP, recorded, read, listed, cancelled. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { toUuid } from '../src/storage/ids.js';
import { leastOf } from './support/rounds.js';
import { after, answer, fail, hang, reply } from './support/upstream-behaviours.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';

let upstream: ScriptedUpstream;
let other: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  other = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: {
      providers: {
        a: { base_url: upstream.url, api_key: 'key-of-a', protect: false },
        b: { kind: 'openai', base_url: other.url, api_key: 'key-of-b' },
      },
      models: { 'b/priced': { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
  await other.close();
});

/** Changes the job's own row, as something outside this process would have. */
async function onRow(jobId: string, change: string): Promise<void> {
  await write(`update jobs set ${change} where id = $1 and status = 'in_progress'`, jobId);
}

async function onOpenAttempt(jobId: string, change: string): Promise<void> {
  await write(`update attempts set ${change} where job_id = $1 and outcome is null`, jobId);
}

async function write(statement: string, jobId: string): Promise<void> {
  const client = new Client({ connectionString: baton.database.url });
  await client.connect();
  await client.query(statement, [toUuid('job', jobId)]);
  await client.end();
}

/**
 * A job whose first answer came after its lease was lost. Now and then the worker's renewal, each 4 s, finds out before
 * the answer is there and stops the call: then another job is tried.
 */
async function overtaken(): Promise<string> {
  for (let i = 0; i < 5; i++) {
    upstream.script('late', after(300, answer('late')), answer('in time'));
    const { id } = await baton.submit({ model: 'a/late' });
    await baton.until(id, (job) => job.attempts.length === 1);
    await onRow(id, 'lease_token = lease_token + 1');
    // As whoever takes a job back leaves the attempt that it finds open.
    await onOpenAttempt(id, "outcome = 'interrupted', ended_at = started_at");
    const isLate = (job: JobReply) => job.attempts[0]?.outcome === 'superseded';
    if (await baton.until(id, isLate, 2000).catch(() => null)) return id;
    await baton.request('POST', `/v1/jobs/${id}/cancel`);
  }
  throw new Error('No answer came late in five jobs');
}

/** The job once it has ended, looked at every 200 ms. For 12 s after a test that cut the database off nothing is reaped. */
async function eventually(look: () => Promise<JobReply>): Promise<JobReply> {
  for (let i = 0; i < 100; i++) {
    const job = await look();
    if (job.finished_at !== null) return job;
    await delay(200);
  }
  throw new Error('The job did not end in 20 s');
}

describe('a job', () => {
  it('is accepted with 202, its place, and the job as it is kept', async () => {
    const reply = await baton.request('POST', '/v1/jobs', {
      request: { model: 'a/plain', messages: [{ role: 'user', content: 'Hi' }], temperature: 0.2 },
      metadata: { order: '17' },
      priority: 'high',
      expires_in: 3600,
    });
    expect(reply.status).toBe(202);
    const job = reply.body as unknown as JobReply;
    expect(job.id).toMatch(/^job_[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(reply.headers.get('location')).toBe(`/v1/jobs/${job.id}`);
    expect(reply.headers.get('x-request-id')).toMatch(/^req_/);
    expect(job).toMatchObject({
      object: 'job',
      status: 'queued',
      endpoint: '/v1/chat/completions',
      model: 'a/plain',
      policy: null,
      metadata: { order: '17' },
      priority: 'high',
      attempts: [],
      response: null,
      error: null,
    });
    expect(job.expires_at - job.created_at).toBe(3600);
    await baton.ended(job.id);
  });

  it('falls back from a model that fails to the next, and keeps both attempts with the reason', async () => {
    upstream.script('down', reply(503, { error: { message: 'No capacity', type: 'overloaded_error' } }));
    other.script('priced', answer('Hello there'));
    const job = await baton.run({ models: ['a/down', 'b/priced'] });
    expect(job).toMatchObject({
      status: 'completed',
      served_by: 'b/priced',
      attempt_count: 2,
      fell_back: true,
    });
    expect(job.attempts).toMatchObject([
      {
        index: 0,
        step: 0,
        model: 'a/down',
        provider: 'a',
        outcome: 'failed',
        class: 'overloaded',
        http_status: 503,
        sent: true,
        decision: 'next',
      },
      {
        index: 1,
        step: 1,
        model: 'b/priced',
        provider: 'b',
        outcome: 'succeeded',
        class: null,
        http_status: 200,
        decision: 'accept',
      },
    ]);
    expect(job.attempts[0]?.decision_reason).toContain('b/priced');
    expect(job.response).toMatchObject({ status_code: 200 });
    const usage = job.usage;
    expect(usage?.total_tokens).toBeGreaterThan(0);
    expect(job.cost_usd).toBeCloseTo(((usage?.input_tokens ?? 0) + 2 * (usage?.output_tokens ?? 0)) / 1e6, 6);
  });

  it("passes the caller's body on whole, and gives the provider's back whole", async () => {
    const body =
      '{"id":"x","zeta":1,"alpha":[1.0,1e3,12345678901234567890],"choices":[{"index":0,"message":{"role":"assistant","content":"\\u00e9\\ud83d\\ude00 <b>","odd":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}';
    upstream.script('whole', reply(200, body));
    const request = {
      model: 'a/whole',
      zulu: { deep: [{ er: 1 }] },
      messages: [{ role: 'user', content: 'Grüße 😀 \u0000' }],
      response_format: { type: 'json_schema', json_schema: { schema: { properties: { z: {}, a: {} } } } },
      never_heard_of: true,
    };
    const job = await baton.run(request);
    const sent = upstream.calls('whole').at(-1);
    expect(JSON.stringify(sent?.body)).toBe(JSON.stringify({ ...request, model: 'whole' }));
    expect(sent?.headers['authorization']).toBe('Bearer key-of-a');
    expect(JSON.stringify(job.request)).toBe(JSON.stringify(request));
    const { text } = await baton.request('GET', `/v1/jobs/${job.id}`);
    expect(text).toContain(body);
  });

  it('is held by Prefer: wait until it ends, or answered with 202 when it does not end in time', async () => {
    const body = { request: { model: 'a/quick', messages: [] } };
    const quick = await baton.request('POST', '/v1/jobs', body, { prefer: 'wait=20' });
    expect(quick.status).toBe(200);
    expect(quick.headers.get('preference-applied')).toBe('wait=20');
    expect(quick.body).toMatchObject({ status: 'completed', attempt_count: 1 });

    upstream.script('slow', after(3000, answer('late')));
    const slow = await baton.request(
      'POST',
      '/v1/jobs',
      { request: { model: 'a/slow', messages: [] } },
      { prefer: 'wait=1' },
    );
    expect(slow.status).toBe(202);
    const held = await baton.request('GET', `/v1/jobs/${String(slow.body['id'])}?wait=20`);
    expect(held.body).toMatchObject({ status: 'completed' });
  });

  it('is made once by fifty equal posts at once with one Idempotency-Key, and its first reply comes again later', async () => {
    const post = () =>
      baton.request(
        'POST',
        '/v1/jobs',
        { request: { model: 'a/once', messages: [] } },
        { 'idempotency-key': 'fifty' },
      );
    const replies = await Promise.all(Array.from({ length: 50 }, post));
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([202]));
    expect(new Set(replies.map((reply) => reply.text)).size).toBe(1);
    expect(replies.filter((reply) => reply.headers.get('idempotent-replayed') === 'true')).toHaveLength(49);
    await baton.ended(String(replies[0]?.body['id']));
    const again = await post();
    expect(again.text).toBe(replies[0]?.text);
    expect(upstream.calls('once')).toHaveLength(1);

    const mismatch = await baton.request(
      'POST',
      '/v1/jobs',
      { request: { model: 'a/other', messages: [] } },
      { 'idempotency-key': 'fifty' },
    );
    expect(mismatch.status).toBe(422);
    expect(mismatch.body.error).toMatchObject({ code: 'idempotency_mismatch' });
  });

  it('gives the first reply again although its policy is gone by now', async () => {
    await baton.request('PUT', '/v1/policies/short-lived', { steps: [{ model: 'a/kept' }] });
    const post = () =>
      baton.request(
        'POST',
        '/v1/jobs',
        { request: { model: 'policy/short-lived', messages: [] } },
        { 'idempotency-key': 'gone' },
      );
    const first = await post();
    expect(first.status).toBe(202);
    expect((await baton.request('DELETE', '/v1/policies/short-lived')).status).toBe(200);
    const again = await post();
    expect([again.status, again.text]).toEqual([202, first.text]);
  });

  it('keeps an answer in hand while the database is away, and calls nobody twice', async () => {
    upstream.script('answered', after(1500, answer('once')));
    const { id } = await baton.submit({ model: 'a/answered' });
    await baton.until(id, (job) => job.attempts.length === 1);
    await baton.database.shut(3000);
    const job = await baton.ended(id);
    expect(job).toMatchObject({
      status: 'completed',
      attempt_count: 1,
      attempts: [{ outcome: 'succeeded' }],
    });
    expect(upstream.calls('answered')).toHaveLength(1);
  });

  it('is cancelled at once while its call hangs, and the call is stopped', async () => {
    const tookMs = await leastOf(2_000, async () => {
      const closed = new Promise<void>((resolve) => {
        upstream.script('hanging', (_call, response) => void response.on('close', resolve));
      });
      const { id } = await baton.submit({ model: 'a/hanging' });
      await baton.until(id, (job) => job.attempts.length === 1);
      const began = Date.now();
      const reply = await baton.request('POST', `/v1/jobs/${id}/cancel`);
      expect(reply.status).toBe(200);
      expect(reply.body).toMatchObject({
        status: 'cancelled',
        attempts: [{ outcome: 'cancelled', model: 'a/hanging' }],
      });
      await closed;
      const closedAfterMs = Date.now() - began;
      expect((await baton.request('POST', `/v1/jobs/${id}/cancel`)).status).toBe(200);
      expect(await baton.job(id)).toMatchObject({ status: 'cancelled', served_by: null });
      return closedAfterMs;
    });
    expect(tookMs).toBeLessThan(2_000);
  });

  it('is failed as a crash loop when the process that runs it has died three times', async () => {
    upstream.script('deadly', hang());
    const { id } = await baton.submit({ model: 'a/deadly' });
    await baton.until(id, (job) => job.attempts.length === 1);
    // As two deaths before and a third one now leave it; again and again, because this worker lives and renews its lease.
    const job = await eventually(async () => {
      await onRow(id, "crash_count = 2, lease_until = now() - interval '1 second'");
      return baton.job(id);
    });
    expect(job).toMatchObject({ status: 'failed', error: { code: 'worker_crash_loop' }, served_by: null });
    expect(job.attempts).toMatchObject([{ outcome: 'interrupted', decision: 'retry' }]);
  });

  it('keeps a late answer of a worker that had lost it on its own attempt, and is run again', async () => {
    const id = await overtaken();
    await onRow(id, "lease_until = now() - interval '1 second'");
    const job = await baton.ended(id);
    expect(job).toMatchObject({ status: 'completed', attempt_count: 2, usage: { output_tokens: 10 } });
    expect(job.attempts).toMatchObject([{ outcome: 'superseded' }, { outcome: 'succeeded' }]);
    expect(JSON.stringify(job.response?.body)).toContain('in time');
    // It lasted until its answer came, not until it was taken for interrupted.
    expect(job.attempts[0]?.duration_ms).toBeGreaterThanOrEqual(290);
  });

  it('that has ended cannot be cancelled', async () => {
    const { id } = await baton.run({ model: 'a/done' });
    const reply = await baton.request('POST', `/v1/jobs/${id}/cancel`);
    expect(reply.status).toBe(409);
    expect(reply.body.error).toMatchObject({ code: 'job_not_cancellable' });
  });

  it('waits for a Retry-After without a slot, and then runs', async () => {
    upstream.script('limited', fail(429, 'Slow down', { 'retry-after': '3' }), answer('now'));
    const { id } = await baton.submit({ model: 'a/limited' });
    const waiting = await baton.until(id, (job) => job.status === 'queued' && job.attempts.length === 1);
    expect(waiting.attempts[0]).toMatchObject({
      class: 'rate_limited',
      retry_after_ms: 3000,
      decision: 'wait',
    });
    expect(waiting.due_at).toBeGreaterThan(waiting.created_at);
    const job = await baton.ended(id);
    expect(job).toMatchObject({ status: 'completed', attempt_count: 2, due_at: null });
    const [first, second] = upstream.calls('limited');
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(3000);
  });

  it('runs no earlier than its run_at', async () => {
    const runAt = Math.floor(Date.now() / 1000) + 2;
    const accepted = await baton.submit({ model: 'a/later' }, { run_at: runAt });
    expect(accepted.due_at).toBe(runAt);
    await baton.ended(accepted.id);
    expect(upstream.calls('later')[0]?.atMs).toBeGreaterThanOrEqual(runAt * 1000);
  });

  it('expires at its deadline, while it waits and while it is called', async () => {
    upstream.script('busy', fail(429, 'Slow down', { 'retry-after': '1' }));
    upstream.script('stuck', hang());
    const seconds = await leastOf(4, async () => {
      const [waiting, running] = await Promise.all([
        baton
          .submit({ model: 'a/later' }, { run_at: Math.floor(Date.now() / 1000), expires_in: 1 })
          .then(({ id }) => baton.ended(id)),
        baton.submit({ model: 'a/stuck' }, { expires_in: 2 }).then(({ id }) => baton.ended(id)),
      ]);
      expect(['completed', 'expired']).toContain(waiting.status);
      expect(['expired', 'failed']).toContain(running.status);
      return (running.finished_at ?? 0) - running.created_at;
    });
    expect(seconds).toBeLessThanOrEqual(3);
  });

  it('fails with the last real error when no model can serve it, and shows the reply', async () => {
    upstream.script('bad', fail(400, 'messages must not be empty'));
    const job = await baton.run({ model: 'a/bad' });
    expect(job).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_request' },
      response: { status_code: 400, body: { error: { message: 'messages must not be empty' } } },
    });
    expect(job.error?.message).toContain('messages must not be empty');
  });
});

describe('the history', () => {
  it('is listed newest first, paged without gaps, and narrowed by each filter', async () => {
    upstream.script('failing', reply(500, 'oops'));
    const made: string[] = [];
    for (let i = 0; i < 5; i++) {
      made.push(
        (await baton.submit({ model: 'a/listed' }, { metadata: { set: 'history', n: String(i) } })).id,
      );
    }
    const fallen = await baton.run({ models: ['a/failing', 'b/listed'] }, { metadata: { set: 'history' } });
    await Promise.all(made.map((id) => baton.ended(id)));

    const filter = 'metadata[set]=history';
    const seen: string[] = [];
    let after = '';
    for (;;) {
      const { body } = await baton.request('GET', `/v1/jobs?${filter}&limit=2${after}`);
      const data = body['data'] as JobReply[];
      seen.push(...data.map((job) => job.id));
      expect(body).toMatchObject({ object: 'list', first_id: data[0]?.id, last_id: data.at(-1)?.id });
      if (body['has_more'] !== true) break;
      after = `&after=${String(body['last_id'])}`;
    }
    expect(seen).toEqual([fallen.id, ...made.toReversed()]);

    const ids = async (query: string) => {
      const {
        body,
        text,
        status: code,
      } = await baton.request('GET', `/v1/jobs?limit=100&${filter}&${query}`);
      if (code !== 200) throw new Error(text);
      return (body['data'] as JobReply[]).map((job) => job.id);
    };
    expect(await ids('fell_back=true')).toEqual([fallen.id]);
    expect(await ids('attempts_min=2')).toEqual([fallen.id]);
    expect(await ids('served_by=b/listed')).toEqual([fallen.id]);
    expect(await ids('model=a/listed&order=asc')).toEqual(made);
    expect(await ids('status=completed')).toHaveLength(6);
    expect(await ids('status=failed')).toEqual([]);
    expect(await ids('metadata[n]=3')).toEqual([made[3]]);
    expect(await ids('error_code=timeout')).toEqual([]);
    expect(await ids('policy=none')).toEqual([]);
    expect(await ids('custom_id=x')).toEqual([]);
    expect(await ids(`created_after=${fallen.created_at - 600}`)).toHaveLength(6);
    expect(await ids(`created_before=${fallen.created_at - 600}`)).toEqual([]);
  });

  it('gives the attempts of a job on their own', async () => {
    const job = await baton.run({ model: 'a/alone' });
    const { body } = await baton.request('GET', `/v1/jobs/${job.id}/attempts`);
    expect(body).toMatchObject({
      object: 'list',
      has_more: false,
      data: [{ object: 'job.attempt', job_id: job.id, outcome: 'succeeded' }],
    });
  });
});

describe('the door', () => {
  it.each([
    ['GET', '/v1/jobs'],
    ['POST', '/v1/jobs'],
    ['GET', '/v1/jobs/job_00000000000000000000000000'],
    ['GET', '/%76%31/jobs'],
    ['GET', '/v1/policies'],
    ['PUT', '/v1/policies/x'],
    ['GET', '/v1/webhook_secret'],
  ])('is closed without the right key: %s %s', async (method, path) => {
    for (const authorization of ['', 'Bearer wrong', 'Basic abc', 'Bearer']) {
      const reply = await baton.request(method, path, method === 'GET' ? undefined : {}, { authorization });
      expect(reply.status).toBe(401);
      expect(reply.body.error).toMatchObject({
        type: expect.any(String),
        code: expect.stringMatching(/api_key/),
      });
    }
  });

  it('answers 404 for a job that is not there, whatever the id looks like', async () => {
    for (const id of [
      'job_00000000000000000000000000',
      'job_x',
      'x',
      "';--",
      '%00',
      'att_01J00000000000000000000000',
    ]) {
      const reply = await baton.request('GET', `/v1/jobs/${id}`);
      expect([400, 404]).toContain(reply.status);
      expect(reply.body.error).toBeDefined();
    }
  });
});
