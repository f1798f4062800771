/**
 * What users of routers suffer from, and what Baton does instead: one test for each complaint that is heard again and again
 * about gateways with fallback. What is about money, waiting and batches has files of its own.
 */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import {
  after,
  answer,
  type Behaviour,
  drip,
  fail,
  goodBody,
  hang,
  reply,
  resetAfterHeaders,
} from './support/upstream-behaviours.js';

let first: ScriptedUpstream;
let second: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  first = await ScriptedUpstream.start();
  second = await ScriptedUpstream.start();
  const { models, providers, policies } = file();
  baton = await TestBaton.start({ file: { models, providers, policies } });
});

afterAll(async () => {
  await baton.stop();
  await Promise.all([first.close(), second.close()]);
});

function file() {
  const policy = (model: string, more: object = {}, step: object = {}) => ({
    steps: [{ model, ...step }, { model: 'b/good' }],
    ...more,
  });
  return {
    providers: {
      a: { kind: 'openai', base_url: first.url, api_key: 'key-of-a' },
      b: { kind: 'openai', base_url: second.url, api_keys: ['key-one-of-b', 'key-two-of-b'] },
      // Port 1 of loopback: nobody listens there.
      nobody: { base_url: 'http://127.0.0.1:1/v1' },
      google: { kind: 'gemini', base_url: first.url, api_key: 'key-of-google' },
    },
    models: {
      'a/small': { context_window: 1_000, input_usd_per_mtok: 1, output_usd_per_mtok: 10 },
      'a/large': { context_window: 100_000 },
      'a/small-too': { context_window: 2_000 },
      'a/paid': { input_usd_per_mtok: 1, output_usd_per_mtok: 2 },
      'b/good': { input_usd_per_mtok: 100, output_usd_per_mtok: 200 },
    },
    policies: {
      walled: policy('a/slow', {}, { timeout_ms: 300 }),
      'once-retried': policy('a/stubborn', {}, { retries: 1 }),
      'no-replay': policy('a/uncertain', {
        on: { timeout: 'stop', connection_lost: 'stop', server_error: 'stop' },
      }),
      'stops-without-reply': policy('nobody/m', { on: { connect_failed: 'stop' } }),
      'stops-on-403': policy('a/forbidden', { on: { unauthorized: 'stop' } }),
      'wants-json': policy('a/paid', { expect: { json: true } }),
      alone: { steps: [{ model: 'a/alone' }], rounds: 2 },
      circle: { steps: [{ model: 'a/busy' }, { model: 'b/busy' }] },
    },
  };
}

/** Lets nothing that a provider did so far count any more. */
const forget = async (provider: string) =>
  expect((await baton.request('POST', `/v1/providers/${provider}/circuits`, { state: 'auto' })).status).toBe(
    200,
  );
afterEach(() => forget('a'));

const classes = (job: JobReply) => job.attempts.map((each) => each.class ?? each.outcome);
const script = (model: string, ...behaviours: Behaviour[]) => first.script(model, ...behaviours);
const long = (characters: number) => [{ role: 'user', content: 'word '.repeat(characters / 5) }];

describe('A fallback', () => {
  it('comes at the timeout, and the job tells the answer and no exception', async () => {
    script('slow', hang());
    const job = await baton.run({ model: 'policy/walled' });
    expect(job).toMatchObject({ status: 'completed', served_by: 'b/good', error: null, fell_back: true });
    expect(classes(job)).toEqual(['timeout', 'succeeded']);
    expect(job.response?.status_code).toBe(200);
  });

  it('comes for a model that lives, but only at a token a second', async () => {
    script('slow', drip(1));
    const job = await baton.run({ model: 'policy/walled' });
    expect(classes(job)).toEqual(['timeout', 'succeeded']);
  });

  it('is not held up by a Retry-After: no hidden retry, no sleep', async () => {
    script('limited', fail(429, 'Slow down.', { 'retry-after': 47 }));
    const job = await baton.run({ models: ['a/limited', 'b/good'] });
    expect(classes(job)).toEqual(['rate_limited', 'succeeded']);
    expect(first.calls('limited')).toHaveLength(1);
    const [one, two] = job.attempts;
    expect((two?.started_at_ms ?? 0) - (one?.started_at_ms ?? 0)).toBeLessThan(5_000);
  });

  it('comes before any retry, unless the policy asks for retries, which then come first', async () => {
    script('stubborn', fail(503));
    const plain = await baton.run({ models: ['a/stubborn', 'b/good'] });
    expect(classes(plain)).toEqual(['overloaded', 'succeeded']);
    const retried = await baton.run({ model: 'policy/once-retried' });
    expect(classes(retried)).toEqual(['overloaded', 'overloaded', 'succeeded']);
    expect(retried.attempts.map(({ decision }) => decision)).toEqual(['retry', 'next', 'accept']);
  });

  it.each<[string, Behaviour]>([
    ['cut off in the middle', resetAfterHeaders()],
    [
      'begun well and ended in an error',
      reply(200, {
        ...goodBody({ path: '/chat/completions', model: 'm' }, 'x'),
        error: { message: 'Quota exceeded.', code: 'insufficient_quota' },
      }),
    ],
    ['garbage in the middle', reply(200, '{"id":"chatcmpl-1","choices":[{"index":0,"mess\u0001')],
  ])('comes for an answer that is %s', async (_name, behaviour) => {
    script('cut', behaviour);
    const job = await baton.run({ models: ['a/cut', 'b/good'] });
    expect(job).toMatchObject({ status: 'completed', served_by: 'b/good', attempt_count: 2 });
  });

  it('comes for a 503 that arrives inside a 200, from Google too', async () => {
    const busy = { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } };
    first.always(reply(200, busy));
    const job = await baton.run({ models: ['google/gemini-2.5-flash', 'b/good'] });
    first.always(null);
    expect(classes(job)).toEqual(['overloaded', 'succeeded']);
  });

  it('comes on the Responses API, embeddings and completions as well', async () => {
    script('down', fail(503));
    for (const [endpoint, body] of [
      ['/v1/responses', { input: 'Hello' }],
      ['/v1/embeddings', { input: 'Hello' }],
      ['/v1/completions', { prompt: 'Hello' }],
    ] as const) {
      const job = await baton.run(
        { models: ['a/down', 'b/good'], messages: undefined, ...body },
        { endpoint },
      );
      expect(job).toMatchObject({ status: 'completed', served_by: 'b/good' });
    }
  });

  it('comes for 403 and for no reply at all; the policy chooses otherwise class by class', async () => {
    script('forbidden', fail(403, 'No.'));
    expect(classes(await baton.run({ models: ['a/forbidden', 'b/good'] }))).toEqual([
      'unauthorized',
      'succeeded',
    ]);
    await forget('a');
    expect(classes(await baton.run({ models: ['nobody/m', 'b/good'] }))).toEqual([
      'connect_failed',
      'succeeded',
    ]);
    const unreached = await baton.run({ model: 'policy/stops-without-reply' });
    expect(unreached).toMatchObject({
      status: 'failed',
      error: { code: 'connect_failed' },
      attempt_count: 1,
    });
    const stopped = await baton.run({ model: 'policy/stops-on-403' });
    expect(stopped).toMatchObject({ status: 'failed', error: { code: 'unauthorized' }, attempt_count: 1 });
  });
});

describe('A request that may have run', () => {
  it.each<[string, string, Behaviour]>([
    ['connection_lost', 'a reset', resetAfterHeaders()],
    ['server_error', 'a 500', fail(500)],
  ])('is not sent again where the policy says so: %s after %s', async (name, _what, behaviour) => {
    script('uncertain', behaviour);
    const before = second.calls().length;
    const job = await baton.run({ model: 'policy/no-replay' });
    expect(job).toMatchObject({ status: 'failed', error: { code: name }, attempt_count: 1 });
    expect(job.attempts[0]).toMatchObject({ sent: true, decision: 'stop' });
    expect(second.calls()).toHaveLength(before);
  });

  it('is told apart from one that never left, which goes on', async () => {
    const job = await baton.run({ models: ['a/small', 'b/good'], messages: long(50_000) });
    expect(job.attempts[0]).toMatchObject({ outcome: 'skipped', sent: false, http_status: null });
    expect(job.served_by).toBe('b/good');
  });
});

describe('A request that is too long', () => {
  it('passes over a model whose window is too small before any call, and says why', async () => {
    const job = await baton.run({ models: ['a/small', 'a/large'], messages: long(50_000) });
    expect(job).toMatchObject({ status: 'completed', served_by: 'a/large' });
    expect(job.attempts[0]).toMatchObject({
      class: 'incompatible',
      decision: 'next',
      message: expect.stringContaining('1,000'),
    });
    expect(first.calls('small')).toHaveLength(0);
  });

  it('goes on only to a larger window when a model finds it too long, whatever words it uses', async () => {
    script(
      'small-too',
      fail(400, "The input (2051 tokens) is longer than the model's context length (2000 tokens)."),
    );
    const job = await baton.run({ models: ['a/small-too', 'a/small', 'a/large'] });
    expect(classes(job)).toEqual(['context_length_exceeded', 'incompatible', 'succeeded']);
    expect(job.attempts[1]?.message).toMatch(/not larger/);
    expect(job.served_by).toBe('a/large');
  });
});

describe('When every model is busy', () => {
  it('the job waits for the first to recover, and shows until when', async () => {
    script('busy', fail(429, 'Busy.', { 'retry-after': 3 }), answer());
    second.script('busy', fail(429, 'Busy.', { 'retry-after': 60 }));
    const { id } = await baton.submit({ model: 'policy/circle' });
    const waiting = await baton.until(id, (job) => job.due_at !== null);
    expect(waiting).toMatchObject({ status: 'queued', error: null });
    const job = await baton.ended(id);
    expect(job).toMatchObject({ status: 'completed', served_by: 'a/busy' });
    const last = job.attempts.at(-2);
    expect(last?.decision).toBe('wait');
    expect(
      (job.attempts.at(-1)?.started_at_ms ?? 0) - (job.attempts[0]?.started_at_ms ?? 0),
    ).toBeGreaterThanOrEqual(3_000);
  });

  it('one model without a fallback is tried again, with backoff, and then the job fails with its own words', async () => {
    script('alone', fail(503, 'No capacity at all.'));
    const job = await baton.run({ model: 'policy/alone' });
    expect(job).toMatchObject({ status: 'failed', error: { code: 'overloaded' }, attempt_count: 2 });
    expect(job.error?.message).toContain('No capacity at all.');
  });

  it('an account without credit is a class of its own, even when it comes as a 400', async () => {
    script('poor', fail(400, 'Your credit balance is too low to access the API.'));
    const job = await baton.run({ models: ['a/poor', 'b/good'] });
    expect(classes(job)).toEqual(['quota_exhausted', 'succeeded']);
    await forget('a');
  });
});

describe('A provider with several keys', () => {
  it('is called again with the next key when one is refused, and that key rests for everybody to see', async () => {
    const keyOf = (authorization: unknown) => String(authorization).slice('Bearer '.length);
    second.script('keyed', (call, response) =>
      (keyOf(call.headers['authorization']) === 'key-one-of-b' ? fail(401, 'Bad key.') : answer())(
        call,
        response,
      ),
    );
    const jobs = [];
    for (let run = 0; run < 4; run++) jobs.push(await baton.run({ model: 'b/keyed' }));
    expect(jobs.every((job) => job.status === 'completed' && job.served_by === 'b/keyed')).toBe(true);
    const refused = jobs.flatMap((job) => job.attempts.filter((each) => each.class === 'unauthorized'));
    expect(refused).toHaveLength(1);
    const { body } = await baton.request('GET', '/v1/providers/b');
    const keys = body['keys'] as { id: string; state: string; reason: string | null }[];
    expect(keys.map(({ state }) => state).toSorted()).toEqual(['ready', 'resting']);
    expect(keys.find(({ id }) => id === refused[0]?.['key_id'])).toMatchObject({ state: 'resting' });
    expect(JSON.stringify(body)).not.toContain('key-one-of-b');
    await forget('b');
  });
});

describe('Money', () => {
  it('is told for the model that served, and for one that answered in vain at its own price', async () => {
    script('paid', answer('this is no JSON'));
    second.script('good', answer('{"a":1}'));
    const job = await baton.run({ model: 'policy/wants-json' });
    second.script('good', answer());
    expect(classes(job)).toEqual(['schema_mismatch', 'succeeded']);
    // 12 tokens in and 5 out, at each one's price.
    expect(job.attempts.map((each) => each['cost_usd'])).toEqual([0.000022, 0.0022]);
    expect(job.cost_usd).toBeCloseTo(0.002222, 9);
    expect(job.usage).toMatchObject({ input_tokens: 24, output_tokens: 10 });
  });

  it('is not known, rather than nothing, where no price is', async () => {
    const job = await baton.run({ model: 'a/unpriced' });
    expect(job).toMatchObject({ status: 'completed', cost_usd: null });
  });
});

describe('Why a model was chosen', () => {
  it('is written on every attempt: model, provider, key, class, and what was decided next', async () => {
    script('broken', fail(500, 'Boom.'));
    script('slowish', after(50, answer()));
    const job = await baton.run({ models: ['a/broken', 'a/slowish'] });
    expect(job.attempts).toHaveLength(2);
    for (const attempt of job.attempts)
      expect(attempt).toMatchObject({
        provider: 'a',
        key_id: expect.stringMatching(/^a-[0-9a-f]{8}$/),
        decision_reason: expect.stringMatching(/\S/),
        worker: expect.stringMatching(/\S/),
      });
    expect(job.attempts[0]?.decision_reason).toBe('server_error: on to a/slowish');
  });
});
