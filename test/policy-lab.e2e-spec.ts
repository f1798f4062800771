/** The policy lab over REST: versions told apart, jobs played without a call, and what became of the real ones in figures. */
import { Client } from 'pg';
import { toUuid } from '../src/storage/ids.js';
import type { Reply } from './support/baton-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { answer, fail } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: {
      providers: {
        a: { kind: 'openai', base_url: upstream.url, api_key: 'key-of-a', protect: false },
        two: { kind: 'openai', base_url: upstream.url, api_keys: ['key-one', 'key-two'] },
      },
      models: {
        'a/priced': { input_usd_per_mtok: 1, output_usd_per_mtok: 2 },
        'a/cheaper': { input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.2 },
        'a/small': { context_window: 50 },
        'a/middling': { context_window: 5_000 },
        'a/large': { context_window: 100_000 },
        'a/toolless': { tools: false },
      },
      policies: { fixed: { steps: [{ model: 'a/one' }, { model: 'sim/echo' }] } },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

interface Played {
  readonly policy: { readonly name: string; readonly version: number | null };
  readonly order: { readonly models: string[]; readonly reason: string | null };
  readonly attempts: readonly {
    readonly index: number;
    readonly round: number;
    readonly step: number;
    readonly model: string;
    readonly key_id: string | null;
    readonly outcome: string;
    readonly class: string | null;
    readonly decision: string | null;
    readonly decision_reason: string | null;
    readonly at_ms: number;
    readonly waited_ms: number;
    readonly duration_ms: number;
  }[];
  readonly result: Readonly<Record<string, unknown>>;
}

const MESSAGES = [{ role: 'user', content: 'Say hello.' }];

async function put(name: string, policy: object): Promise<void> {
  const reply = await baton.request('PUT', `/v1/policies/${name}`, policy);
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
}

async function play(name: string, body: object): Promise<Played> {
  const reply = await baton.request('POST', `/v1/policies/${name}/dry_run`, {
    request: { messages: MESSAGES },
    ...body,
  });
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply.body as unknown as Played;
}

function steps(...models: string[]): { model: string }[] {
  return models.map((model) => ({ model }));
}

function refusal(reply: Reply): unknown {
  return { status: reply.status, code: reply.body.error?.['code'], param: reply.body.error?.['param'] };
}

/** Each attempt in a few words. */
function told({ attempts }: Pick<Played, 'attempts'>): string[] {
  return attempts.map(
    ({ round, model, class: name, outcome, decision }) => `${round} ${model} ${name ?? outcome} ${decision}`,
  );
}

/** Why each attempt was followed by what followed, without the lengths of waits: a real call takes a few milliseconds. */
function reasonsOf({ attempts }: Pick<Played, 'attempts'>): string[] {
  return attempts.map(({ decision_reason }) =>
    String(decision_reason).replaceAll(/[\d.]+ (ms|s|min)\b/g, '…'),
  );
}

describe('The versions of a policy', () => {
  beforeAll(async () => {
    await put('v', { steps: [{ model: 'a/one', overrides: { seed: 1 } }] });
    await put('v', {
      steps: [{ model: 'a/one', overrides: { seed: 2, 'a/b': 1 } }, { model: 'a/two' }],
      rounds: 1,
    });
    await put('v', { strategy: 'weighted', steps: [{ model: 'a/one', weight: 3 }] });
  });

  it('can be read one by one, also those of a deleted policy', async () => {
    const { body } = await baton.request('GET', '/v1/policies/v/versions/2');
    expect(body).toMatchObject({ object: 'policy', name: 'v', version: 2, rounds: 1 });
    await put('gone', { steps: steps('a/one') });
    await baton.request('DELETE', '/v1/policies/gone');
    expect((await baton.request('GET', '/v1/policies/gone/versions/1')).body).toMatchObject({ version: 1 });
  });

  it('are told apart place by place, the defaults filled in', async () => {
    const { body } = await baton.request('GET', '/v1/policies/v/diff?from=1&to=2');
    const second = (await baton.request('GET', '/v1/policies/v/versions/2')).body['steps'] as object[];
    expect(body).toEqual({
      object: 'policy.diff',
      name: 'v',
      from: 1,
      to: 2,
      changes: [
        { op: 'replace', path: '/steps/0/overrides/seed', from: 1, to: 2 },
        { op: 'add', path: '/steps/0/overrides/a~1b', from: null, to: 1 },
        { op: 'add', path: '/steps/1', from: null, to: second[1] },
        { op: 'replace', path: '/rounds', from: 3, to: 1 },
      ],
    });
  });

  it('are told apart from the current one where no other is named', async () => {
    const { body } = await baton.request('GET', '/v1/policies/v/diff?from=1');
    expect(body).toMatchObject({
      to: 3,
      changes: [
        { op: 'replace', path: '/strategy', from: 'fallback', to: 'weighted' },
        { op: 'replace', path: '/sticky_by', from: null, to: 'user_id' },
        { op: 'replace', path: '/steps/0/weight', from: 1, to: 3 },
        { op: 'remove', path: '/steps/0/overrides/seed', from: 1, to: null },
      ],
    });
    const same = await baton.request('GET', '/v1/policies/v/diff?from=3');
    expect(same.body).toMatchObject({ from: 3, to: 3, changes: [] });
  });

  it.each([
    ['/v1/policies/v/versions/9', 404, 'unknown_policy', 'version'],
    ['/v1/policies/none/versions/1', 404, 'unknown_policy', 'version'],
    ['/v1/policies/v/versions/x', 400, 'invalid_value', 'version'],
    ['/v1/policies/v/diff', 400, 'invalid_value', 'from'],
    ['/v1/policies/v/diff?from=0', 400, 'invalid_value', 'from'],
    ['/v1/policies/v/diff?from=1&from=2', 400, 'invalid_value', 'from'],
    ['/v1/policies/v/diff?from=1&too=2', 400, 'unknown_field', 'too'],
    ['/v1/policies/v/diff?from=9', 404, 'unknown_policy', 'from'],
    ['/v1/policies/v/diff?from=1&to=9', 404, 'unknown_policy', 'to'],
    ['/v1/policies/v/diff?from=1&to=', 400, 'invalid_value', 'to'],
    ['/v1/policies/none/diff?from=1', 404, 'unknown_policy', 'from'],
    ['/v1/policies/%00/diff?from=1', 404, 'unknown_policy', 'from'],
  ])('that are asked for wrongly are refused: %s', async (path, status, code, param) => {
    expect(refusal(await baton.request('GET', path))).toEqual({ status, code, param });
  });
});

describe('A dry run', () => {
  it('tells each attempt, and calls nobody', async () => {
    await put('dry', { steps: [{ model: 'a/dry', retries: 1 }, { model: 'a/dry-too' }], rounds: 1 });
    const played = await play('dry', { outcomes: ['overloaded', 'unauthorized', 'ok'] });
    expect(played).toMatchObject({
      object: 'policy.dry_run',
      policy: { name: 'dry', version: 1 },
      order: { models: ['a/dry', 'a/dry-too'], reason: null },
      attempts: [
        { index: 0, round: 0, step: 0, outcome: 'failed', at_ms: 0, waited_ms: 0, duration_ms: 0 },
        { index: 1, round: 0, step: 0, outcome: 'failed' },
        { index: 2, round: 0, step: 1, outcome: 'succeeded', waited_ms: 0 },
      ],
      result: { status: 'completed', served_by: 'a/dry-too', error_code: null },
    });
    expect(told(played)).toEqual([
      '0 a/dry overloaded retry',
      '0 a/dry unauthorized next',
      '0 a/dry-too succeeded accept',
    ]);
    const [first, second] = played.attempts;
    expect(first?.decision_reason).toMatch(/^overloaded: retry 1 of 1 in \d+ ms$/);
    expect(second?.waited_ms).toBe(second?.at_ms);
    expect(upstream.calls('dry')).toHaveLength(0);
  });

  it('says the same each time, and draws other waits from another seed', async () => {
    const body = { policy: { steps: steps('a/one') }, outcomes: ['overloaded', 'ok'] };
    const once = await play('again', body);
    expect(await play('again', body)).toEqual(once);
    expect(told(await play('again', { ...body, seed: 7 }))).toEqual(told(once));
    expect((await play('again', { ...body, seed: 7 })).result['at_ms']).not.toBe(once.result['at_ms']);
  });

  it('is of the version that is asked for, or of a draft that is kept nowhere', async () => {
    await put('of', { steps: steps('a/old') });
    await put('of', { steps: steps('a/new') });
    expect((await play('of', { outcomes: ['ok'] })).result).toMatchObject({ served_by: 'a/new' });
    expect(await play('of', { outcomes: ['ok'], version: 1 })).toMatchObject({
      policy: { name: 'of', version: 1 },
      result: { served_by: 'a/old' },
    });
    const draft = { outcomes: ['ok'], policy: { steps: steps('policy/of', 'a/draft') } };
    expect(await play('never-kept', draft)).toMatchObject({
      policy: { name: 'never-kept', version: null },
      order: { models: ['a/new', 'a/draft'] },
    });
    expect((await baton.request('GET', '/v1/policies/never-kept')).status).toBe(404);
    expect((await play('fixed', { outcomes: ['ok'] })).result).toMatchObject({ served_by: 'a/one' });
  });

  it('goes past a Retry-After to the next model, and keeps it for the next round', async () => {
    const policy = { steps: steps('a/one', 'a/two'), rounds: 2 };
    const played = await play('limited', { policy, outcomes: ['rate_limited:20', 'rate_limited:5', 'ok'] });
    expect(told(played)).toEqual([
      '0 a/one rate_limited next',
      '0 a/two rate_limited wait',
      '1 a/two succeeded accept',
    ]);
    expect(played.attempts[2]?.waited_ms).toBeGreaterThanOrEqual(5_000);
    expect(played.attempts[2]?.waited_ms).toBeLessThan(20_000);
  });

  it('waits for a model for as long as the step has patience', async () => {
    const patient = (patience_ms: number) => ({
      policy: { steps: [{ model: 'a/cheap', patience_ms }, { model: 'a/dear' }] },
      outcomes: ['locally_limited:30', 'ok'],
    });
    const waiting = await play('patient', patient(60_000));
    expect(told(waiting)).toEqual(['0 a/cheap locally_limited wait', '0 a/cheap succeeded accept']);
    expect(waiting.attempts[0]).toMatchObject({ outcome: 'skipped', key_id: null });
    expect(told(await play('impatient', patient(10_000)))).toEqual([
      '0 a/cheap locally_limited next',
      '0 a/dear succeeded accept',
    ]);
  });

  it('lets a call that times out take its time, and ends at the deadline', async () => {
    const policy = { steps: [{ model: 'a/slow', timeout_ms: 40_000 }], rounds: 100, max_attempts: 100 };
    const played = await play('slow', { policy, outcomes: ['timeout'], expires_in: 100 });
    expect(played.attempts[0]).toMatchObject({ at_ms: 0, duration_ms: 40_000 });
    expect(played.result['at_ms']).toBeLessThanOrEqual(100_000);
    expect(['failed', 'expired']).toContain(played.result['status']);
  });

  it('skips a model that cannot take the request, without using up an outcome', async () => {
    const policy = { steps: steps('a/small', 'a/toolless', 'a/one') };
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
    const request = { messages: [{ role: 'user', content: 'word '.repeat(500) }], tools };
    const played = await play('skipping', { policy, request, outcomes: ['ok'] });
    expect(told(played)).toEqual([
      '0 a/small incompatible next',
      '0 a/toolless incompatible next',
      '0 a/one succeeded accept',
    ]);
    const [small, toolless, one] = played.attempts;
    expect(small).toMatchObject({ outcome: 'skipped', message: expect.stringContaining('too small') });
    expect(toolless).toMatchObject({ outcome: 'skipped', message: expect.stringContaining('tools') });
    expect(one).toMatchObject({ message: null });
  });

  it('goes on from a request that was too long only to a larger window', async () => {
    const policy = { steps: steps('a/middling', 'a/small', 'a/middling', 'a/large') };
    const played = await play('longer', { policy, outcomes: ['context_length_exceeded', 'ok'] });
    expect(told(played)).toEqual([
      '0 a/middling context_length_exceeded next',
      '0 a/small incompatible next',
      '0 a/middling incompatible next',
      '0 a/large succeeded accept',
    ]);
  });

  it('puts the cheapest model first where the policy says so', async () => {
    const policy = { strategy: 'cost', steps: steps('a/priced', 'a/unknown', 'a/cheaper') };
    expect((await play('cheap', { policy, outcomes: ['ok'] })).order).toEqual({
      models: ['a/cheaper', 'a/priced', 'a/unknown'],
      reason: expect.stringContaining('cost: a/cheaper first'),
    });
  });

  it('tries a provider’s other key when one is refused', async () => {
    const policy = { steps: steps('two/x', 'a/one') };
    const played = await play('keys', { policy, outcomes: ['unauthorized', 'ok'] });
    expect(played.result).toMatchObject({ served_by: 'two/x' });
    const [first, second] = played.attempts;
    expect(first?.key_id).not.toBe(second?.key_id);
  });

  it('fails as the job would, with its failure', async () => {
    const policy = { steps: steps('a/one', 'a/two'), on: { content_filtered: 'stop' } };
    const played = await play('stopping', { policy, outcomes: ['content_filtered'] });
    expect(told(played)).toEqual(['0 a/one content_filtered stop']);
    expect(played.result).toMatchObject({
      status: 'failed',
      served_by: null,
      error_code: 'content_filtered',
    });
  });

  it('draws the first model of a weighted policy by its metadata, the others behind it', async () => {
    const policy = { strategy: 'weighted', steps: [...steps('a/one'), { model: 'a/never', weight: 0 }] };
    const played = await play('weighted', { policy, outcomes: ['unauthorized', 'ok'] });
    expect(played.order).toEqual({
      models: ['a/one', 'a/never'],
      reason: expect.stringContaining('weighted'),
    });
    const even = { strategy: 'weighted', steps: steps('a/one', 'a/two', 'a/three') };
    const first = async (user_id: string) =>
      (await play('sticky', { policy: even, outcomes: ['ok'], metadata: { user_id } })).result['served_by'];
    const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    const served = await Promise.all(users.map(first));
    expect(await Promise.all(users.map(first))).toEqual(served);
    expect(new Set(served).size).toBeGreaterThan(1);
  });

  it('lays nested policies out in their places, each by its own strategy', async () => {
    await put('drawn', { strategy: 'weighted', steps: [{ model: 'a/x', weight: 0 }, { model: 'a/y' }] });
    const policy = { steps: steps('a/first', 'policy/drawn') };
    const played = await play('nesting', { policy, outcomes: ['unauthorized'] });
    expect(played.order.models).toEqual(['a/first', 'a/y', 'a/x']);
    expect(told(played).map((line) => line.split(' ')[1])).toEqual(['a/first', 'a/y', 'a/x']);
  });

  it('is cut off where a job would go on for days', async () => {
    const policy = { steps: steps('a/one') };
    const body = { policy, outcomes: ['circuit_open:1'], expires_in: 604_800 };
    const played = await play('endless', body);
    expect(played.attempts).toHaveLength(200);
    expect(played.result).toMatchObject({ status: 'cut_off', served_by: null, error_code: null });
    expect(played.attempts.at(-1)).toMatchObject({ decision: 'wait' });
  });

  const good = { request: { messages: MESSAGES }, outcomes: ['ok'] };
  it.each<[string, object, number, string, string]>([
    ['no outcomes', { ...good, outcomes: [] }, 400, 'invalid_value', 'outcomes'],
    ['an outcome that is none', { ...good, outcomes: ['ok', 'fine'] }, 400, 'invalid_value', 'outcomes.1'],
    [
      'an outcome that waits for ever',
      { ...good, outcomes: ['timeout:x'] },
      400,
      'invalid_value',
      'outcomes.0',
    ],
    ['an outcome that is no text', { ...good, outcomes: [1] }, 400, 'invalid_value', 'outcomes'],
    ['no request', { outcomes: ['ok'] }, 400, 'missing_field', 'request'],
    ['a slip', { ...good, outcome: ['ok'] }, 400, 'unknown_field', 'outcome'],
    ['another model', { ...good, request: { model: 'a/one' } }, 400, 'invalid_value', 'request.model'],
    ['a chain', { ...good, request: { models: ['a/one'] } }, 400, 'invalid_value', 'request.models'],
    ['a stream', { ...good, request: { stream: true } }, 400, 'invalid_value', 'request.stream'],
    ['an unknown version', { ...good, version: 9 }, 404, 'unknown_policy', 'version'],
    [
      'a version beside a draft',
      { ...good, version: 1, policy: { steps: steps('a/one') } },
      400,
      'invalid_value',
      'version',
    ],
    ['a draft without steps', { ...good, policy: {} }, 400, 'missing_field', 'policy.steps'],
    [
      'a draft with a slip',
      { ...good, policy: { steps: [{ model: 'a/one', retry: 1 }] } },
      400,
      'unknown_field',
      'policy.steps.0.retry',
    ],
    [
      'a draft of unknown models',
      { ...good, policy: { steps: steps('nope/x') } },
      404,
      'unknown_model',
      'policy.steps.0.model',
    ],
    [
      'a draft that nests itself',
      { ...good, policy: { steps: steps('policy/fixed') } },
      400,
      'invalid_value',
      'policy.steps.0.model',
    ],
    ['an unknown endpoint', { ...good, endpoint: '/v1/x' }, 400, 'invalid_value', 'endpoint'],
    ['wrong metadata', { ...good, metadata: { a: 1 } }, 400, 'invalid_value', 'metadata'],
    ['a seed below 0', { ...good, seed: -1 }, 400, 'invalid_value', 'seed'],
    ['no time', { ...good, expires_in: 0 }, 400, 'invalid_value', 'expires_in'],
  ])('is refused with the place that is wrong: %s', async (_what, body, status, code, param) => {
    const reply = await baton.request('POST', '/v1/policies/fixed/dry_run', body);
    expect(refusal(reply)).toEqual({ status, code, param });
  });

  it('of a policy that is not there is a 404', async () => {
    const reply = await baton.request('POST', '/v1/policies/none/dry_run', good);
    expect(refusal(reply)).toEqual({ status: 404, code: 'unknown_policy', param: 'name' });
  });
});

describe('A job that is run for real by the same script', () => {
  const [one, two] = [{ model: 'sim/echo' }, { model: 'sim/slow' }];
  it.each<[string, object, string[]]>([
    ['answers at once', { steps: [one] }, ['ok']],
    ['is retried', { steps: [{ ...one, retries: 2 }, two] }, ['server_error', 'overloaded', 'ok']],
    ['goes on', { steps: [one, two, one] }, ['rate_limited:30', 'unauthorized', 'ok']],
    [
      'has its retries used up',
      { steps: [{ ...one, retries: 1 }, two] },
      ['connect_failed', 'connection_lost', 'ok'],
    ],
    ['waits with patience', { steps: [{ ...one, patience_ms: 5_000 }, two] }, ['rate_limited:0.5', 'ok']],
    ['has too little patience', { steps: [{ ...one, patience_ms: 5_000 }, two] }, ['rate_limited:60', 'ok']],
    ['waits for its model', { steps: [one, two], on: { overloaded: 'wait' } }, ['overloaded:0.2', 'ok']],
    ['stops', { steps: [one, two], on: { content_filtered: 'stop' } }, ['content_filtered']],
    ['goes round again', { steps: [one, one], rounds: 2 }, ['overloaded:0.3', 'malformed', 'ok']],
    ['meets nothing that heals', { steps: [one, one] }, ['model_not_found', 'invalid_request']],
    [
      'makes its last call',
      { steps: [{ ...one, retries: 9 }], max_attempts: 2, rounds: 9 },
      ['server_error', 'timeout'],
    ],
    ['gets bad answers', { steps: [one, one, one, one] }, ['empty', 'refused', 'malformed', 'ok']],
    [
      'is expected more of',
      { steps: [one, one], expect: { json: true }, rounds: 1 },
      ['schema_mismatch', 'schema_mismatch'],
    ],
    [
      'is drawn',
      { strategy: 'weighted', sticky_by: 'user', steps: [one, { ...one, weight: 5 }, two] },
      ['unauthorized', 'ok'],
    ],
    ['is drawn anew', { strategy: 'weighted', sticky_by: null, steps: [one, two] }, ['unauthorized', 'ok']],
  ])('%s as in its dry run', async (name, policy, outcomes) => {
    const path = name.replaceAll(' ', '-');
    await put(path, policy);
    const metadata = { user: 'me' };
    const job = await baton.run({ model: `policy/${path}`, sim: outcomes }, { metadata });
    // A job draws from the end of its id.
    const seed = Number.parseInt(toUuid('job', job.id)?.slice(-8) ?? '', 16);
    const request = { messages: MESSAGES, sim: outcomes };
    const played = await play(path, { outcomes, metadata, request, seed });
    expect(told(played)).toEqual(told(job as unknown as Played));
    expect(reasonsOf(played)).toEqual(reasonsOf(job as unknown as Played));
    expect(played.result).toMatchObject({
      status: job.status,
      served_by: job.served_by,
      error_code: job.error?.code ?? null,
    });
    expect(played.order.reason).toEqual(job['order_reason']);
  });
});

describe('The figures of a policy', () => {
  it('say who served, what failed and what it cost', async () => {
    upstream.script('figures-down', fail(503));
    upstream.script('priced', answer('One.'));
    await put('figures', { steps: steps('a/figures-down', 'a/priced'), rounds: 1 });
    await baton.run({ model: 'policy/figures' });
    await put('figures', { steps: steps('a/free') });
    await baton.run({ model: 'policy/figures' });
    await baton.run({ model: 'policy/figures' });
    await put('figures', { steps: steps('a/figures-down'), rounds: 1 });
    await baton.run({ model: 'policy/figures' });

    const { body } = await baton.request('GET', '/v1/policies/figures/stats');
    const priced = await baton.request('GET', '/v1/jobs?policy=figures&served_by=a/priced');
    const [job] = priced.body['data'] as { cost_usd: number }[];
    expect(job?.cost_usd).toBeGreaterThan(0);
    const latency = {
      p50: expect.any(Number),
      p90: expect.any(Number),
      p95: expect.any(Number),
      p99: expect.any(Number),
    };
    expect(body).toMatchObject({
      object: 'policy.stats',
      name: 'figures',
      version: null,
      created_before: null,
      jobs: { total: 4, queued: 0, in_progress: 0, completed: 3, failed: 1, cancelled: 0, expired: 0 },
      fell_back: 1,
      fallback_rate: 0.25,
      latency_ms: latency,
      spending: { cost_usd: job?.cost_usd, calls_without_cost: 2 },
      models: [
        {
          model: 'a/free',
          served: 2,
          served_share: 2 / 3,
          succeeded: 2,
          failed: 0,
          cost_usd: null,
          calls_without_cost: 2,
        },
        {
          model: 'a/priced',
          served: 1,
          succeeded: 1,
          cost_usd: job?.cost_usd,
          calls_without_cost: 0,
          latency_ms: latency,
        },
        { model: 'a/figures-down', served: 0, served_share: 0, succeeded: 0, failed: 2, latency_ms: null },
      ],
      failures: [{ model: 'a/figures-down', class: 'overloaded', attempts: 2, fell_back: 1 }],
    });
    const { spending, models } = body as unknown as {
      spending: { total_tokens: number };
      models: { total_tokens: number }[];
    };
    expect(spending.total_tokens).toBe(models.reduce((sum, each) => sum + each.total_tokens, 0));

    const second = await baton.request('GET', '/v1/policies/figures/stats?version=2');
    expect(second.body).toMatchObject({
      version: 2,
      jobs: { total: 2 },
      models: [{ model: 'a/free' }],
      failures: [],
    });
  });

  it('are of the time that is asked for, and empty where there is nothing', async () => {
    await put('unused', { steps: steps('a/one') });
    const empty = await baton.request('GET', '/v1/policies/unused/stats');
    expect(empty.body).toMatchObject({
      jobs: { total: 0 },
      fallback_rate: null,
      latency_ms: null,
      spending: { total_tokens: 0, cost_usd: null, calls_without_cost: 0 },
      models: [],
      failures: [],
    });
    await put('timed', { steps: steps('a/one') });
    const { created_at } = await baton.run({ model: 'policy/timed' });
    const totalOf = async (query: string): Promise<unknown> => {
      const { body } = await baton.request('GET', `/v1/policies/timed/stats?${query}`);
      return (body['jobs'] as { total: number }).total;
    };
    expect(await totalOf(`created_after=${created_at - 1}`)).toBe(1);
    expect(await totalOf(`created_after=${created_at + 2}`)).toBe(0);
    expect(await totalOf(`created_before=${created_at + 2}`)).toBe(1);
    expect(await totalOf(`created_after=0&created_before=${created_at}`)).toBe(0);
    await baton.request('DELETE', '/v1/policies/timed');
    expect(await totalOf(`created_after=${created_at - 1}`)).toBe(1);
  });

  it('are counted for a few at once, and hold nobody else up', async () => {
    const asked: Promise<void>[] = [];
    const client = new Client({ connectionString: baton.database.url });
    await client.connect();
    try {
      await client.query('begin');
      await client.query('lock table attempts in access exclusive mode');
      // Two are counted, ten wait, and the others are told to come again; none of them can end before the lock does.
      const replies: Reply[] = [];
      const allRefused = new Promise<void>((resolve) => {
        for (let count = 0; count < 30; count++) {
          asked.push(
            baton.request('GET', '/v1/policies/fixed/stats').then((reply) => {
              if (replies.push(reply) === 18) resolve();
            }),
          );
        }
      });
      await allRefused;
      for (const reply of replies) expect(refusal(reply)).toMatchObject({ status: 503, code: 'overloaded' });
      expect(replies[0]?.headers.get('retry-after')).toBe('10');
      expect((await baton.request('GET', '/v1/policies/fixed')).status).toBe(200);
      await client.query('rollback');
      await Promise.all(asked);
      expect(replies.slice(18).map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200));
    } finally {
      await client.end();
    }
  });

  it.each([
    ['none/stats', 404, 'unknown_policy', 'name'],
    ['fixed/stats?version=9', 404, 'unknown_policy', 'version'],
    ['fixed/stats?version=x', 400, 'invalid_value', 'version'],
    ['fixed/stats?created_after=x', 400, 'invalid_value', 'created_after'],
    ['fixed/stats?created_after=5&created_before=5', 400, 'invalid_value', 'created_after'],
    ['fixed/stats?status=failed', 400, 'unknown_field', 'status'],
  ])('that are asked for wrongly are refused: %s', async (path, status, code, param) => {
    expect(refusal(await baton.request('GET', `/v1/policies/${path}`))).toEqual({ status, code, param });
  });
});
