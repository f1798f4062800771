/** Policies over REST: versions that never change, jobs that keep the one they began with, and chains that do as they say. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, type Reply, TestBaton } from './support/test-baton.js';
import { answer, fail } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: {
      providers: { a: { base_url: upstream.url, api_key: 'key-of-a', protect: false } },
      policies: {
        'zz-fixed': { description: 'From the file', steps: [{ model: 'a/down' }, { model: 'a/up' }] },
      },
    },
  });
  upstream.script('down', fail(503, 'No capacity.'));
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

interface PolicyReply {
  readonly name: string;
  readonly version: number;
  readonly source: string;
  readonly steps: { readonly model: string }[];
}

async function put(name: string, policy: object): Promise<PolicyReply> {
  const reply = await baton.patiently('PUT', `/v1/policies/${name}`, policy);
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply.body as unknown as PolicyReply;
}

function steps(...models: string[]): { model: string }[] {
  return models.map((model) => ({ model }));
}

function modelsOf(job: JobReply): string[] {
  return job.attempts.map((attempt) => attempt.model);
}

function refusal(reply: Reply): unknown {
  return { status: reply.status, code: reply.body.error?.['code'], param: reply.body.error?.['param'] };
}

describe('A policy', () => {
  it('is made by PUT, with every default said', async () => {
    const policy = { description: 'Two models', steps: [{ model: 'a/down', retries: 1 }, { model: 'a/up' }] };
    expect(await put('made', policy)).toEqual({
      object: 'policy',
      name: 'made',
      version: 1,
      source: 'api',
      description: 'Two models',
      strategy: 'fallback',
      sticky_by: null,
      steps: [
        { model: 'a/down', retries: 1, timeout_ms: 300_000, patience_ms: 0, weight: 1, overrides: {} },
        { model: 'a/up', retries: 0, timeout_ms: 300_000, patience_ms: 0, weight: 1, overrides: {} },
      ],
      on: {},
      expect: {
        json: false,
        json_schema: false,
        finish_reason: null,
        not_empty: false,
        min_length: null,
        pattern: null,
      },
      rounds: 3,
      max_attempts: 10,
      created_at: expect.any(Number),
    });
    const { body } = await baton.request('GET', '/v1/policies/made');
    expect(body).toMatchObject({ name: 'made', version: 1 });
  });

  it('has a new version after each PUT, and the old ones as they were', async () => {
    for (const model of ['a/one', 'a/two', 'a/three']) await put('versioned', { steps: steps(model) });
    const { body } = await baton.request('GET', '/v1/policies/versioned/versions');
    expect(body).toMatchObject({
      object: 'list',
      data: [
        { version: 3, steps: [{ model: 'a/three' }] },
        { version: 2, steps: [{ model: 'a/two' }] },
        { version: 1, steps: [{ model: 'a/one' }] },
      ],
      has_more: false,
    });
    const page = await baton.request('GET', '/v1/policies/versioned/versions?limit=1&after=3');
    expect(page.body).toMatchObject({ data: [{ version: 2 }], last_id: '2', has_more: true });
    const oldest = await baton.request('GET', '/v1/policies/versioned/versions?order=asc&limit=2');
    expect(oldest.body).toMatchObject({ data: [{ version: 1 }, { version: 2 }], has_more: true });
    const rest = await baton.request('GET', '/v1/policies/versioned/versions?order=asc&after=2');
    expect(rest.body).toMatchObject({ data: [{ version: 3 }], has_more: false });
    for (const path of ['/v1/policies/versioned/versions?befor=3', '/v1/policies?ordr=asc']) {
      expect(refusal(await baton.request('GET', path))).toMatchObject({ status: 400, code: 'unknown_field' });
    }
  });

  it('gets versions without a gap when many write at once', async () => {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, index) => put('busy', { steps: steps(`a/${index}`) })),
    );
    expect(made.map((policy) => policy.version).toSorted((a, b) => a - b)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
    const { body } = await baton.request('GET', '/v1/policies/busy');
    expect(body['steps']).toEqual(made.find((policy) => policy.version === 10)?.steps);
  });

  it('that was overwritten comes back by restore, as a new version', async () => {
    await put('restored', { steps: steps('a/first') });
    await put('restored', { steps: steps('a/second') });
    const reply = await baton.request('POST', '/v1/policies/restored/versions/1/restore');
    expect(reply.status).toBe(200);
    expect(reply.body).toMatchObject({ version: 3, steps: [{ model: 'a/first' }] });
    expect(await baton.run({ model: 'policy/restored' })).toMatchObject({
      served_by: 'a/first',
      policy: { name: 'restored', version: 3 },
    });
  });

  it('that is deleted is gone for new jobs, keeps its versions, and counts on when it is made again', async () => {
    await put('deleted', { steps: steps('a/up') });
    const reply = await baton.request('DELETE', '/v1/policies/deleted');
    expect(reply.body).toEqual({ object: 'policy.deleted', name: 'deleted', deleted: true });
    const gone = { status: 404, code: 'unknown_policy', param: 'name' };
    expect(refusal(await baton.request('GET', '/v1/policies/deleted'))).toEqual(gone);
    expect(refusal(await baton.request('DELETE', '/v1/policies/deleted'))).toEqual(gone);
    const submitted = await baton.request('POST', '/v1/jobs', { request: { model: 'policy/deleted' } });
    expect(refusal(submitted)).toEqual({ ...gone, param: 'request.model' });
    const versions = await baton.request('GET', '/v1/policies/deleted/versions');
    expect(versions.body['data']).toHaveLength(1);
    expect(await put('deleted', { steps: steps('a/up') })).toMatchObject({ version: 2 });
  });

  it('that is deleted is told by the policies that name it', async () => {
    await put('named', { steps: steps('a/up') });
    await put('naming', { steps: steps('policy/named') });
    await baton.request('DELETE', '/v1/policies/named');
    const reply = await baton.request('POST', '/v1/jobs', { request: { model: 'policy/naming' } });
    expect(refusal(reply)).toEqual({ status: 404, code: 'unknown_policy', param: 'request.model' });
    expect(reply.body.error?.['message']).toContain("no policy 'named', which policy 'naming' names");
  });

  it('keeps every character of its texts', async () => {
    const description = 'a\u0000b\ud800 😀 \u2028';
    const overrides = { stop: ['\u0000', '\ud800'], z: 1, a: { constructo: null } };
    await put('odd', { description, steps: [{ model: 'a/odd', overrides }] });
    const { body } = await baton.request('GET', '/v1/policies/odd');
    expect(body).toMatchObject({ description, steps: [{ overrides }] });
    await baton.run({ model: 'policy/odd' });
    expect(upstream.calls('odd')[0]?.body).toMatchObject(overrides);
  });

  it('call every model of a long chain, although ten calls are the default', async () => {
    const fails = Array.from({ length: 11 }, () => ({ model: 'sim/fail' }));
    const reply = await put('long', { steps: [...fails, { model: 'a/last' }] });
    expect(reply).toMatchObject({ max_attempts: 12 });
    expect(await baton.run({ model: 'policy/long' })).toMatchObject({
      status: 'completed',
      served_by: 'a/last',
      attempt_count: 12,
    });
  });

  it('may say null for what they leave out', async () => {
    const step = { model: 'a/nulls', retries: null, timeout_ms: null, overrides: null };
    const reply = await put('nulls', {
      steps: [step],
      on: null,
      rounds: null,
      max_attempts: null,
      description: null,
    });
    expect(reply).toMatchObject({ steps: [{ model: 'a/nulls', retries: 0, overrides: {} }], rounds: 3 });
    expect(await baton.run({ model: 'policy/nulls' })).toMatchObject({ status: 'completed' });
  });

  it('leave retries and time to the policy that they name', async () => {
    await put('inner', { steps: [{ model: 'a/inner' }] });
    for (const field of ['retries', 'timeout_ms', 'patience_ms']) {
      const body = { steps: [{ model: 'policy/inner', [field]: 1 }] };
      const reply = await baton.request('PUT', '/v1/policies/outer', body);
      expect(reply.status).toBe(400);
      expect(reply.body.error).toMatchObject({
        param: `steps.0.${field}`,
        message: expect.stringContaining(`${field} must be left out beside policy/inner`),
      });
    }
    const body = { steps: [{ model: 'policy/inner', weight: 1, overrides: { seed: 1 } }] };
    expect(await put('outer', body)).toMatchObject({
      steps: [{ model: 'policy/inner', retries: null, timeout_ms: null, patience_ms: null }],
      max_attempts: null,
    });
  });
});

describe('A policy with everything in it', () => {
  const step = { model: 'a/up' };
  const weighted = { strategy: 'weighted', steps: [step] };

  it('is shown as it was sent', async () => {
    const policy = {
      strategy: 'weighted',
      sticky_by: 'order',
      steps: [
        { model: 'a/one', retries: 2, timeout_ms: 5, patience_ms: 604_800_000, weight: 0.25, overrides: {} },
        { model: 'a/two', retries: 0, timeout_ms: 300_000, patience_ms: 0, weight: 0, overrides: { n: 1 } },
      ],
      on: { timeout: 'stop' },
      expect: {
        json: true,
        json_schema: true,
        finish_reason: ['stop', 'tool_calls'],
        not_empty: true,
        min_length: 5,
        pattern: '^\\d+$',
      },
      rounds: 1,
      max_attempts: 3,
    };
    expect(await put('whole', policy)).toMatchObject(policy);
  });

  it.each([
    ['left out', {}, 'user_id'],
    ['null', { sticky_by: null }, null],
  ])('draws by the user where sticky_by is %s: %j', async (_what, given, sticky_by) => {
    expect(await put('sticky', { ...weighted, ...given })).toMatchObject({ sticky_by });
  });

  it.each(['latency', 'cost', 'fallback'])('may have the strategy %s', async (strategy) => {
    expect(await put('strategic', { strategy, steps: [step] })).toMatchObject({ strategy, sticky_by: null });
    expect(await baton.run({ model: 'policy/strategic' })).toMatchObject({ status: 'completed' });
  });

  it.each<[string, object, string, string]>([
    ['patience below 0', { steps: [{ ...step, patience_ms: -1 }] }, 'steps.0.patience_ms', 'less than 0'],
    [
      'patience of more than a week',
      { steps: [{ ...step, patience_ms: 604_800_001 }] },
      'steps.0.patience_ms',
      'greater than 604800000',
    ],
    [
      'a weight below 0',
      { strategy: 'weighted', steps: [{ ...step, weight: -1 }] },
      'steps.0.weight',
      'less than 0',
    ],
    [
      'a weight that is a text',
      { strategy: 'weighted', steps: [{ ...step, weight: '1' }] },
      'steps.0.weight',
      'must be a number',
    ],
    [
      'no weight above 0',
      { strategy: 'weighted', steps: [{ ...step, weight: 0 }] },
      'steps',
      'a weight above 0',
    ],
    [
      'a weight that nothing looks at',
      { steps: [step, { ...step, weight: 2 }] },
      'steps.1.weight',
      "only 'weighted' has a use for it",
    ],
    [
      'sticky_by that nothing looks at',
      { strategy: 'cost', sticky_by: 'user', steps: [step] },
      'sticky_by',
      "beside the strategy 'cost'",
    ],
    ['sticky_by of 65', { ...weighted, sticky_by: 'a'.repeat(65) }, 'sticky_by', '64 characters'],
    [
      'a wait for what never comes',
      { steps: [step], on: { incompatible: 'wait' } },
      'on',
      'must be one of: next, stop',
    ],
    ['expect: a list', { steps: [step], expect: [] }, 'expect', 'must be an object'],
    [
      'expect: a slip',
      { steps: [step], expect: { not_emty: true } },
      'expect.not_emty',
      "Did you mean 'expect.not_empty'?",
    ],
    ['expect: json that is a text', { steps: [step], expect: { json: 'yes' } }, 'expect.json', 'boolean'],
    [
      'expect: a reason that never comes',
      { steps: [step], expect: { finish_reason: ['stopp'] } },
      'expect.finish_reason',
      'stop, length',
    ],
    [
      'expect: no reason at all',
      { steps: [step], expect: { finish_reason: [] } },
      'expect.finish_reason',
      'at least 1',
    ],
    [
      'expect: min_length 0',
      { steps: [step], expect: { min_length: 0 } },
      'expect.min_length',
      'less than 1',
    ],
    [
      'expect: an empty pattern',
      { steps: [step], expect: { pattern: '' } },
      'expect.pattern',
      '1 characters',
    ],
    [
      'expect: a pattern that is broken',
      { steps: [step], expect: { pattern: '(' } },
      'expect.pattern',
      'RE2',
    ],
    [
      'expect: a pattern that looks around',
      { steps: [step], expect: { pattern: '(?=a)b' } },
      'expect.pattern',
      'RE2',
    ],
    [
      'expect: a pattern that is long',
      { steps: [step], expect: { pattern: 'a'.repeat(1001) } },
      'expect.pattern',
      '1000',
    ],
  ])('is refused with the place and what would be right: %s', async (_what, policy, param, words) => {
    const reply = await baton.request('PUT', '/v1/policies/wrong', policy);
    const { error } = reply.body;
    expect([reply.status, error?.['param'], error?.['message']]).toEqual([
      400,
      param,
      expect.stringContaining(words),
    ]);
    expect((await baton.request('GET', '/v1/policies/wrong')).status).toBe(404);
  });
});

describe('The list of policies', () => {
  it('goes by name, page by page, without gaps, the file’s among them', async () => {
    const reply = await baton.request('GET', '/v1/policies?limit=100');
    const all = (reply.body['data'] as PolicyReply[]).map((policy) => policy.name);
    expect(all).toContain('zz-fixed');
    expect(all).toEqual(all.toSorted());
    for (const order of ['asc', 'desc']) {
      const seen: string[] = [];
      for (let after = ''; ;) {
        const { body } = await baton.request('GET', `/v1/policies?limit=2&order=${order}${after}`);
        const names = (body['data'] as PolicyReply[]).map((policy) => policy.name);
        expect(body).toMatchObject({ object: 'list', first_id: names[0], last_id: names.at(-1) });
        seen.push(...names);
        if (body['has_more'] !== true) break;
        after = `&after=${String(body['last_id'])}`;
      }
      expect(seen).toEqual(order === 'asc' ? all : all.toReversed());
    }
  });
});

describe('A policy of the config file', () => {
  it('is shown, and serves jobs', async () => {
    const { body } = await baton.request('GET', '/v1/policies/zz-fixed');
    expect(body).toMatchObject({ source: 'config', version: 1, description: 'From the file' });
    expect(await baton.run({ model: 'policy/zz-fixed' })).toMatchObject({
      status: 'completed',
      model: 'policy/zz-fixed',
      policy: { name: 'zz-fixed', version: 1 },
      served_by: 'a/up',
      fell_back: true,
    });
  });

  it.each([
    ['PUT', '', { steps: steps('a/up') }],
    ['DELETE', '', undefined],
    ['POST', '/versions/1/restore', undefined],
  ])('cannot be changed: %s', async (method, path, body) => {
    const reply = await baton.request(method, `/v1/policies/zz-fixed${path}`, body);
    expect(refusal(reply)).toEqual({ status: 409, code: 'policy_read_only', param: 'name' });
    expect((await baton.request('GET', '/v1/policies/zz-fixed')).body).toMatchObject({ version: 1 });
  });
});

describe('A job', () => {
  it('runs the version that it began with, whatever becomes of the policy meanwhile', async () => {
    await put('pinned', { steps: steps('a/old') });
    const runAt = Math.floor(Date.now() / 1000) + 2;
    const [changed, deleted] = await Promise.all([
      baton.submit({ model: 'policy/pinned' }, { run_at: runAt }),
      baton.submit({ model: 'policy/pinned' }, { run_at: runAt }),
    ]);
    expect(changed.policy).toEqual({ name: 'pinned', version: 1 });
    await put('pinned', { steps: steps('a/new') });
    expect(await baton.run({ model: 'policy/pinned' })).toMatchObject({
      served_by: 'a/new',
      policy: { name: 'pinned', version: 2 },
    });
    await baton.request('DELETE', '/v1/policies/pinned');
    for (const { id } of [changed, deleted]) {
      expect(await baton.ended(id)).toMatchObject({
        status: 'completed',
        served_by: 'a/old',
        policy: { name: 'pinned', version: 1 },
      });
    }
    expect(upstream.calls('old').every((call) => call.atMs >= runAt * 1000)).toBe(true);
  });

  it('walks nested policies where they stand, and pins them too', async () => {
    await put('inner', { steps: [{ model: 'a/down', overrides: { top_p: 0.1, seed: 1 } }] });
    const outer = [{ model: 'policy/inner', overrides: { seed: 2 } }, { model: 'a/up' }];
    await put('outer', { steps: outer });
    const waiting = await baton.submit(
      { model: 'policy/outer' },
      { run_at: Math.floor(Date.now() / 1000) + 2 },
    );
    await put('inner', { steps: steps('a/other') });
    expect((await baton.run({ model: 'policy/outer' })).served_by).toBe('a/other');
    const job = await baton.ended(waiting.id);
    expect(modelsOf(job)).toEqual(['a/down', 'a/up']);
    const call = upstream
      .calls('down')
      .find((each) => each.headers['x-baton-attempt-id'] === job.attempts[0]?.id);
    expect(call?.body).toMatchObject({ top_p: 0.1, seed: 2 });
  });

  it('may mix policies and models in a chain of its own', async () => {
    await put('part', { steps: steps('a/down', 'a/down-too') });
    upstream.script('down-too', fail(500));
    const job = await baton.run({ models: ['policy/part', 'a/up'] });
    expect(modelsOf(job)).toEqual(['a/down', 'a/down-too', 'a/up']);
    expect(job).toMatchObject({ model: 'policy/part', served_by: 'a/up' });
  });

  it.each([
    ['alone in models', { models: ['policy/sole'] }],
    ['in model and in models', { model: 'policy/sole', models: ['policy/sole'] }],
  ])('runs a policy as itself where it stands %s', async (_, request) => {
    const { version } = await put('sole', { steps: steps('sim/fail', 'a/up'), max_attempts: 1 });
    expect(await baton.run(request)).toMatchObject({
      status: 'failed',
      model: 'policy/sole',
      policy: { name: 'sole', version },
      attempt_count: 1,
    });
  });

  it('is called with the overrides of the step, and only of that step', async () => {
    upstream.script('cold-down', fail(503));
    await put('cold', {
      steps: [{ model: 'a/cold-down', overrides: { temperature: 0, max_tokens: 5 } }, { model: 'a/warm' }],
    });
    const job = await baton.run({ model: 'policy/cold', temperature: 1, user: 'me' });
    expect(upstream.calls('cold-down')[0]?.body).toEqual({
      ...job.request,
      model: 'cold-down',
      temperature: 0,
      max_tokens: 5,
    });
    expect(upstream.calls('warm')[0]?.body).toEqual({ ...job.request, model: 'warm' });
    expect(job.request).toMatchObject({ model: 'policy/cold', temperature: 1 });
  });

  it('tries a model as often as its step says, and then the next', async () => {
    upstream.script('stubborn', fail(503));
    await put('retrying', { steps: [{ model: 'a/stubborn', retries: 2 }, { model: 'a/up' }] });
    const job = await baton.run({ model: 'policy/retrying' });
    expect(modelsOf(job)).toEqual(['a/stubborn', 'a/stubborn', 'a/stubborn', 'a/up']);
    expect(job.attempts.map((attempt) => attempt.decision)).toEqual(['retry', 'retry', 'next', 'accept']);
    expect(job.attempts.map((attempt) => attempt.step)).toEqual([0, 0, 0, 1]);
    expect(upstream.calls('stubborn')).toHaveLength(3);
  });

  it('ends at once where a rule says stop, with the failure that it met', async () => {
    upstream.script('filtered', fail(400, 'The content filter says no.', {}));
    await put('stopping', {
      steps: [{ model: 'a/filtered', retries: 3 }, { model: 'a/never' }],
      on: { content_filtered: 'stop' },
    });
    const job = await baton.run({ model: 'policy/stopping' });
    expect(job).toMatchObject({ status: 'failed', served_by: null, error: { code: 'content_filtered' } });
    expect(job.attempts).toMatchObject([{ class: 'content_filtered', decision: 'stop' }]);
    expect(upstream.calls('never')).toHaveLength(0);
  });

  it('obeys the rules of a nested policy on its own steps only', async () => {
    upstream.script('plain-500', fail(500));
    upstream.script('strict-500', fail(500));
    await put('strict', { steps: steps('a/strict-500'), on: { server_error: 'stop' } });
    await put('lenient', { steps: steps('a/plain-500', 'policy/strict', 'a/unreached') });
    const job = await baton.run({ model: 'policy/lenient' });
    expect(job.attempts.map((attempt) => attempt.decision)).toEqual(['next', 'stop']);
    expect(job).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    expect(upstream.calls('unreached')).toHaveLength(0);
  });

  it('goes through its chain as many rounds as it may while a failure can heal', async () => {
    upstream.script('healing', fail(503), answer('Better now.'));
    await put('rounds', { steps: steps('a/healing', 'a/down'), rounds: 2 });
    const healed = await baton.run({ model: 'policy/rounds' });
    expect(healed).toMatchObject({ status: 'completed', served_by: 'a/healing' });
    expect(healed.attempts.map(({ round, model }) => `${round} ${model}`)).toEqual([
      '0 a/healing',
      '0 a/down',
      '1 a/healing',
    ]);
    expect(healed.attempts[1]?.decision).toBe('wait');

    await put('once', { steps: steps('a/down', 'a/down'), rounds: 1 });
    const failed = await baton.run({ model: 'policy/once' });
    expect(failed).toMatchObject({ status: 'failed', attempt_count: 2, error: { code: 'overloaded' } });

    upstream.script('wrong', fail(400));
    await put('hopeless', { steps: steps('a/wrong'), rounds: 3 });
    expect(await baton.run({ model: 'policy/hopeless' })).toMatchObject({
      status: 'failed',
      attempt_count: 1,
    });
  });

  it('makes no more calls than max_attempts', async () => {
    await put('bounded', { steps: [{ model: 'a/down', retries: 10 }], max_attempts: 3 });
    expect(await baton.run({ model: 'policy/bounded' })).toMatchObject({
      status: 'failed',
      attempt_count: 3,
    });
  });
});

describe('Policies that go round in a circle', () => {
  it('are refused when the circle is closed, with the way round, and nothing is changed', async () => {
    await put('c', { steps: steps('a/up') });
    await put('b', { steps: steps('policy/c') });
    await put('a', { steps: steps('policy/b') });
    const reply = await baton.request('PUT', '/v1/policies/c', { steps: steps('a/up', 'policy/a') });
    expect(refusal(reply)).toEqual({ status: 400, code: 'invalid_value', param: 'steps.1.model' });
    expect(reply.body.error?.['message']).toContain('c → a → b → c');
    expect((await baton.request('GET', '/v1/policies/c')).body).toMatchObject({ version: 1 });
  });

  it('are refused where fifty stand inside each other', async () => {
    await put('deep-0', { steps: steps('a/up') });
    for (let depth = 1; depth < 50; depth++)
      await put(`deep-${depth}`, { steps: steps(`policy/deep-${depth - 1}`) });
    expect(await baton.run({ model: 'policy/deep-49' })).toMatchObject({ served_by: 'a/up' });
    const reply = await baton.request('PUT', '/v1/policies/deep-50', { steps: steps('policy/deep-49') });
    expect(refusal(reply)).toEqual({ status: 400, code: 'invalid_value', param: 'steps.0.model' });
    expect(reply.body.error?.['message']).toContain('More than 50 policies stand inside each other');
  });

  it('are not made by two PUTs at once either', async () => {
    const names = ['left', 'right'] as const;
    for (let times = 0; times < 10; times++) {
      for (const name of names) await put(name, { steps: steps('a/up') });
      // Each alone would be right.
      const replies = await Promise.all(
        names.map((name, index) =>
          baton.request('PUT', `/v1/policies/${name}`, { steps: steps(`policy/${names[1 - index]}`) }),
        ),
      );
      expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 400]);
    }
    for (const name of names) expect((await baton.run({ model: `policy/${name}` })).served_by).toBe('a/up');
  });

  it('are looked for without holding up a crowd of PUTs', async () => {
    const models = Array.from({ length: 40 }, (_, index) => `policy/crowd-${index}`);
    for (const model of models) await put(model.slice(7), { steps: steps('a/up') });
    const all = await Promise.all(
      models.map((_, index) => put(`crowd-${index}`, { steps: steps('policy/left') })),
    );
    expect(all).toHaveLength(40);
  });
});
