/** Batches through the front door: taken, run line by line down each line's own chain, answered, read, listed. */
import { BatchClient, chat, chats, idsOf, toJsonl } from './support/batch-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { fail, hang, reply, resetBeforeHeaders } from './support/upstream-behaviours.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

let upstream: ScriptedUpstream;
let receiver: WebhookReceiver;
let baton: TestBaton;
let batches: BatchClient;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: '20' },
    file: {
      providers: { a: { base_url: upstream.url, api_key: 'key-of-a', protect: false } },
      models: { 'a/priced': { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } },
      policies: {
        once: { steps: [{ model: 'a/lost', timeout_ms: 400 }], rounds: 1 },
        cut: { steps: [{ model: 'a/reset' }], rounds: 1 },
        backed: { steps: [{ model: 'a/down' }, { model: 'a/priced' }] },
      },
    },
  });
  batches = new BatchClient(baton);
  upstream.script('down', fail(503, 'No capacity.'));
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
  await receiver.close();
});

describe('a batch', () => {
  it('is accepted as it is kept, with all that OpenAI and Baton say of one', async () => {
    const inputFileId = await batches.upload(toJsonl([chat('only', 'sim/echo')]));
    const made = await baton.request('POST', '/v1/batches', {
      input_file_id: inputFileId,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { order: '17' },
    });
    expect(made.status).toBe(200);
    const none = { cached_tokens: 0 };
    expect(made.body).toEqual({
      id: expect.stringMatching(/^batch_[0-9A-HJKMNP-TV-Z]{26}$/),
      object: 'batch',
      endpoint: '/v1/chat/completions',
      model: null,
      errors: null,
      input_file_id: inputFileId,
      completion_window: '24h',
      status: 'validating',
      output_file_id: null,
      error_file_id: null,
      created_at: expect.any(Number),
      in_progress_at: null,
      expires_at: Number(made.body['created_at']) + 86_400,
      finalizing_at: null,
      completed_at: null,
      failed_at: null,
      expired_at: null,
      cancelling_at: null,
      cancelled_at: null,
      request_counts: { total: 0, completed: 0, failed: 0, in_progress: 0, cancelled: 0, expired: 0 },
      usage: {
        input_tokens: 0,
        input_tokens_details: none,
        output_tokens: 0,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 0,
      },
      metadata: { order: '17' },
      priority: 'normal',
      webhook_url: null,
      paused_at: null,
      max_cost_usd: null,
      max_error_rate: null,
      accept_invalid_lines: false,
      dedupe: false,
      retry_of: null,
      cost_usd: 0,
      unpriced_requests: 0,
    });
    await batches.ended(String(made.body['id']));
  });

  it('goes from validating over in_progress and finalizing to completed, and answers each line once', async () => {
    const batch = await batches.run({ input_file_id: await batches.upload(toJsonl(chats(60, 'a/priced'))) });
    expect(batch).toMatchObject({
      status: 'completed',
      errors: null,
      error_file_id: null,
      output_file_id: expect.stringMatching(/^file-/),
      request_counts: { total: 60, completed: 60, failed: 0, in_progress: 0, cancelled: 0, expired: 0 },
      usage: { input_tokens: 60 * 12, output_tokens: 60 * 5, total_tokens: 60 * 17 },
      unpriced_requests: 0,
    });
    expect(batch.cost_usd).toBeCloseTo((60 * (12 + 2 * 5)) / 1e6, 9);
    const times = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at];
    expect(times).toEqual([...times].sort((a, b) => Number(a) - Number(b)));
    const { output } = await batches.files(batch);
    expect(idsOf(output)).toEqual(idsOf(chats(60, 'a/priced')));
    expect(output[0]).toEqual({
      id: expect.stringMatching(/^batch_req_[0-9A-HJKMNP-TV-Z]{26}$/),
      custom_id: expect.any(String),
      response: { status_code: 200, request_id: 'up-1', body: expect.objectContaining({ id: 'chatcmpl-1' }) },
      error: null,
      baton: expect.objectContaining({
        job_id: expect.stringMatching(/^job_/),
        served_by: 'a/priced',
        attempts: 1,
        cost_usd: 0.000022,
      }),
    });
    expect(upstream.calls('priced')).toHaveLength(60);
  });

  it('runs the chain of each line for itself: models, chains written on the spot, policies', async () => {
    const { messages } = chat('x', 'x').body;
    const requests = [
      chat('model', 'a/priced'),
      { custom_id: 'chain', body: { models: ['a/down', 'sim/echo'], messages } },
      chat('policy', 'policy/backed'),
      chat('default', 'sim/echo'),
    ];
    const batch = await batches.run({ requests });
    const { output } = await batches.files(batch);
    const served = Object.fromEntries(
      output.map((line) => [line.custom_id, [line.baton.served_by, line.baton.attempts]]),
    );
    expect(served).toEqual({
      model: ['a/priced', 1],
      chain: ['sim/echo', 2],
      policy: ['a/priced', 2],
      default: ['sim/echo', 1],
    });
  });

  it("keeps a provider's refusal as a response and every other failure as an error, both in the error file", async () => {
    upstream.script(
      'refusing',
      reply(400, { error: { message: 'messages are wrong', type: 'x', code: 'y' } }),
    );
    upstream.script('lost', hang());
    upstream.script('reset', resetBeforeHeaders());
    const requests = [
      chat('good', 'a/priced'),
      chat('refused', 'a/refusing'),
      chat('late', 'policy/once'),
      chat('cut', 'policy/cut'),
    ];
    const batch = await batches.run({ requests });
    expect(batch).toMatchObject({
      status: 'completed',
      errors: null,
      request_counts: { total: 4, completed: 1, failed: 3 },
    });
    const { output, errors } = await batches.files(batch);
    expect(idsOf(output)).toEqual(['good']);
    const told = new Map(errors.map((line) => [line.custom_id, line]));
    expect(told.get('refused')).toMatchObject({
      response: { status_code: 400, body: { error: { message: 'messages are wrong', code: 'y' } } },
      error: null,
      baton: { served_by: null, attempts: 1 },
    });
    expect(told.get('late')).toMatchObject({ response: null, error: { code: 'timeout' } });
    expect(told.get('cut')).toMatchObject({ response: null, error: { code: 'connection_lost' } });
    expect(told.get('cut')?.error?.message).toContain('a/reset');
    expect(errors).toHaveLength(3);
  });

  it('is completed although every line failed, and then has no output file', async () => {
    upstream.script('refusing', fail(400, 'No.'));
    const batch = await batches.run({ requests: chats(5, 'a/refusing') });
    expect(batch).toMatchObject({
      status: 'completed',
      output_file_id: null,
      error_file_id: expect.stringMatching(/^file-/),
      request_counts: { total: 5, completed: 0, failed: 5 },
    });
    expect(idsOf((await batches.files(batch)).errors)).toHaveLength(5);
  });

  it.each([
    ['/v1/embeddings', { input: 'Hi' }, { object: 'list' }],
    ['/v1/completions', { prompt: 'Hi' }, { object: 'text_completion' }],
    ['/v1/responses', { input: 'Hi' }, { object: 'response' }],
  ])('takes requests for %s', async (endpoint, fields, body) => {
    const requests = [{ custom_id: 'one', body: { model: 'a/priced', ...fields } }];
    const batch = await batches.run({
      input_file_id: await batches.upload(toJsonl(requests, endpoint)),
      endpoint,
    });
    const { output } = await batches.files(batch);
    expect(output).toMatchObject([{ custom_id: 'one', response: { status_code: 200, body } }]);
    expect(upstream.calls().at(-1)).toMatchObject({ path: endpoint, body: { model: 'priced', ...fields } });
  });

  it('of requests that are given inline has an input file like any other', async () => {
    const batch = await batches.run({ requests: chats(3, 'sim/echo') });
    const file = await baton.request('GET', `/v1/files/${batch.input_file_id}`);
    expect(file.body).toMatchObject({ purpose: 'batch', object: 'file' });
    const { text } = await baton.request('GET', `/v1/files/${batch.input_file_id}/content`);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    const wanted = chats(3, 'sim/echo').map((each) => ({
      ...each,
      method: 'POST',
      url: '/v1/chat/completions',
    }));
    expect(lines).toEqual(wanted);
    expect(idsOf((await batches.files(batch)).output)).toEqual(['r-0', 'r-1', 'r-2']);
  });

  it('has jobs that are found by it and by their custom_id', async () => {
    const batch = await batches.run({ requests: chats(5, 'sim/echo'), priority: 'low' });
    const { body } = await baton.request('GET', `/v1/jobs?batch_id=${batch.id}`);
    expect(body['data']).toHaveLength(5);
    const one = await baton.request('GET', `/v1/jobs?batch_id=${batch.id}&custom_id=r-3`);
    const [job] = one.body['data'] as JobReply[];
    expect(one.body['data']).toHaveLength(1);
    const line = (await batches.files(batch)).output.find((each) => each.custom_id === 'r-3');
    expect(line?.baton.job_id).toBe(job?.id);
    expect(await baton.job(job?.id ?? '')).toMatchObject({
      batch_id: batch.id,
      custom_id: 'r-3',
      status: 'completed',
      priority: 'low',
      expires_at: batch.expires_at,
      request: chats(5, 'sim/echo')[3]?.body,
    });
  });

  it('tells its end to its webhook once, and no line tells its own', async () => {
    const url = receiver.url('/ended');
    const batch = await batches.run({
      requests: chats(10, 'sim/echo'),
      webhook_url: url,
      metadata: { a: 'b' },
    });
    const [received] = await receiver.waitFor('/ended', 1);
    expect(JSON.parse(String(received?.body))).toMatchObject({
      object: 'event',
      type: 'batch.completed',
      data: {
        id: batch.id,
        status: 'completed',
        output_file_id: batch.output_file_id,
        request_counts: { total: 10, completed: 10 },
        metadata: { a: 'b' },
      },
    });
    await batches.run({ requests: chats(1, 'sim/echo'), webhook_url: receiver.url('/later') });
    await receiver.waitFor('/later', 1);
    expect(receiver.received('/ended')).toHaveLength(1);
  });
});

describe('the list of batches', () => {
  it('is newest first, paged without gaps, and the other way round', async () => {
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.push((await batches.run({ requests: chats(1, 'sim/echo') })).id);
    const page = async (query: string) => (await baton.request('GET', `/v1/batches?${query}`)).body;
    const newest = await page('limit=2');
    expect(newest).toMatchObject({
      object: 'list',
      has_more: true,
      first_id: made[4],
      last_id: made[3],
      data: [{ id: made[4], object: 'batch', status: 'completed' }, { id: made[3] }],
    });
    expect(await page(`limit=2&after=${made[3]}`)).toMatchObject({
      data: [{ id: made[2] }, { id: made[1] }],
    });
    expect(await page(`limit=100&after=${made[0]}&order=asc`)).toMatchObject({
      has_more: false,
      data: made.slice(1).map((id) => ({ id })),
    });
  });

  it('refuses what is wrong in its query', async () => {
    for (const query of ['limit=0', 'limit=101', 'after=x', 'order=up', 'before=x']) {
      expect((await baton.request('GET', `/v1/batches?${query}`)).status).toBe(400);
    }
  });
});

it('A batch that is not there is a 404 at each of its doors, and every door is closed without the key', async () => {
  const id = 'batch_00000000000000000000000000';
  const doors = [
    ['GET', ''],
    ['GET', '/results'],
    ['GET', '/events'],
    ['POST', '/cancel'],
    ['POST', '/pause'],
    ['POST', '/resume'],
    ['POST', '/retry_failed'],
  ] as const;
  for (const [method, door] of doors) {
    for (const each of [id, 'batch_x', 'job_00000000000000000000000000']) {
      const { status, body } = await baton.request(method, `/v1/batches/${each}${door}`);
      expect([door, status, body.error?.['code']]).toEqual([door, 404, 'not_found']);
    }
    const closed = await baton.request(method, `/v1/batches/${id}${door}`, undefined, { authorization: '' });
    expect([door, closed.status]).toEqual([door, 401]);
  }
});
