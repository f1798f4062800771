/** Providers over REST: which keys rest and which circuits are open, why and until when, and what an operator can do. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, type Reply, TestBaton } from './support/test-baton.js';
import { after, answer, fail } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;

const SECRETS = ['key-one-secret', 'key-two-secret'];

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const kind = 'openai';
  const url = upstream.url;
  baton = await TestBaton.start({
    file: {
      providers: {
        two: { kind, base_url: url, api_keys: SECRETS, limits: { rpm: 6_000, concurrency: 10 } },
        one: { kind, base_url: url, api_key: SECRETS[0] },
        keyless: { kind, base_url: url },
        unprotected: { kind, base_url: url, protect: false },
        poor: { kind, base_url: url },
      },
      policies: {
        once: { steps: [{ model: 'one/down' }], rounds: 1 },
      },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

interface Circuit {
  readonly model: string;
  readonly state: string;
  readonly calls_at_once: number | null;
}
interface Key {
  readonly id: string | null;
  readonly state: string;
  readonly reason: string | null;
  readonly circuits: readonly Circuit[];
}
interface Provider {
  readonly name: string;
  readonly keys: readonly Key[];
}

async function provider(name: string): Promise<Provider> {
  const reply = await baton.request('GET', `/v1/providers/${name}`);
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply.body as unknown as Provider;
}

async function circuit(name: string, model: string): Promise<Circuit | undefined> {
  return (await provider(name)).keys[0]?.circuits.find((each) => each.model === `${name}/${model}`);
}

async function set(name: string, setting: object): Promise<Reply> {
  return baton.request('POST', `/v1/providers/${name}/circuits`, setting);
}

function refusal(reply: Reply): unknown {
  return { status: reply.status, code: reply.body.error?.['code'], param: reply.body.error?.['param'] };
}

const alone = (model: string, over: object = {}) => ({ models: [model], messages: [], ...over });

async function runs(model: string, times: number): Promise<JobReply[]> {
  const jobs: JobReply[] = [];
  for (let count = 0; count < times; count += 1) jobs.push(await baton.run(alone(model)));
  return jobs;
}

describe('The list of providers', () => {
  it('has all that are switched on, by name, page by page', async () => {
    const { body } = await baton.request('GET', '/v1/providers');
    const all = (body['data'] as Provider[]).map(({ name }) => name);
    expect(all).toEqual(['keyless', 'one', 'poor', 'sim', 'two', 'unprotected']);
    const page = await baton.request('GET', '/v1/providers?limit=2&after=poor');
    expect(page.body).toMatchObject({ first_id: 'sim', last_id: 'two', has_more: true });
    const back = await baton.request('GET', '/v1/providers?limit=2&order=desc&after=poor');
    expect(back.body).toMatchObject({ first_id: 'one', last_id: 'keyless', has_more: false });
  });

  it('tells how each is set up, and no secret of it', async () => {
    const { body, text } = await baton.request('GET', '/v1/providers');
    expect(body['data']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'sim', kind: 'sim', base_url: null, is_protected: false }),
        expect.objectContaining({ name: 'unprotected', is_protected: false, keys: [expect.anything()] }),
        expect.objectContaining({
          object: 'provider',
          name: 'two',
          kind: 'openai',
          base_url: upstream.url,
          is_protected: true,
          limits: { rpm: 6_000, tpm: null, concurrency: 10 },
        }),
      ]),
    );
    for (const secret of SECRETS) expect(text).not.toContain(secret);
    expect((await provider('two')).keys).toHaveLength(2);
    expect((await provider('keyless')).keys).toMatchObject([{ id: null, state: 'ready', reason: null }]);
  });

  it('says what is wrong with a name, a key or a setting', async () => {
    const unknown = await baton.request('GET', '/v1/providers/tow');
    expect(refusal(unknown)).toEqual({ status: 404, code: 'unknown_provider', param: 'name' });
    expect(unknown.body.error?.['message']).toContain("'two'");
    const key = await set('two', { key_id: 'two-nokey', state: 'open' });
    expect(refusal(key)).toEqual({ status: 404, code: 'not_found', param: 'key_id' });
    for (const [name, reason] of [
      ['sim', 'simulates'],
      ['unprotected', 'protect: false'],
    ] as const) {
      const reply = await set(name, { state: 'open' });
      expect(refusal(reply)).toEqual({ status: 409, code: 'provider_not_protected', param: 'name' });
      expect(reply.body.error?.['message']).toContain(reason);
    }
    expect(refusal(await set('one', {}))).toMatchObject({ status: 400, code: 'missing_field' });
    expect(refusal(await set('one', { state: 'shut' }))).toMatchObject({ status: 400, param: 'state' });
    expect(refusal(await set('one', { state: 'open', for_seconds: 0 }))).toMatchObject({ status: 400 });
    expect(refusal(await set('one', { state: 'open', model: 'down' }))).toMatchObject({
      status: 400,
      param: 'model',
    });
    for (const model of ['', 'one/', 'two/down']) {
      expect(refusal(await set('one', { state: 'open', model }))).toMatchObject({ param: 'model' });
    }
    expect(refusal(await set('one', { state: 'open', modell: 'x' }))).toMatchObject({
      status: 400,
      code: 'unknown_field',
    });
  });
});

describe('A model that keeps failing', () => {
  it('is left alone after five calls, and the record says who, why and until when', async () => {
    upstream.script('down', fail(500));
    for (let count = 0; count < 5; count += 1) await baton.run({ model: 'policy/once' });
    const last = await baton.run({ models: ['one/down', 'one/spare'] });
    expect(last).toMatchObject({ status: 'completed', served_by: 'one/spare' });
    expect(last.attempts[0]).toMatchObject({ outcome: 'skipped', class: 'circuit_open', sent: false });
    expect(last.attempts[0]?.message).toMatch(
      /^one\/down with the key one-\S+ is left alone until \S+Z: server_error: /,
    );
    expect(upstream.calls('down')).toHaveLength(5);
    expect(await circuit('one', 'down')).toMatchObject({
      state: 'open',
      is_forced: false,
      since_at: expect.any(Number),
      until_at: expect.any(Number),
      reason: expect.stringContaining('server_error'),
      last_failure: { class: 'server_error', at: expect.any(Number) },
      failures: 5,
      successes: 0,
    });
    const { text } = await baton.request('GET', '/metrics');
    expect(text).toContain('baton_open_circuits{provider="one",of="model"} 1');
    expect(text).toMatch(/baton_refusals_total\{provider="one",class="circuit_open"\} [1-9]/);
  });

  it('leaves the other models of its key alone', async () => {
    expect(await baton.run(alone('one/up'))).toMatchObject({ status: 'completed', served_by: 'one/up' });
    expect(await circuit('one', 'up')).toMatchObject({
      state: 'closed',
      successes: 1,
      failures: 0,
      reason: null,
      latency_ms: expect.any(Number),
    });
  });

  it('is called again at once when an operator says so, and is not opened again while that holds', async () => {
    const before = upstream.calls('down').length;
    expect((await set('one', { model: 'one/down', state: 'closed', for_seconds: 600 })).status).toBe(200);
    expect(await circuit('one', 'down')).toMatchObject({ state: 'closed', is_forced: true });
    for (let count = 0; count < 6; count += 1) await baton.run({ model: 'policy/once' });
    expect(upstream.calls('down').length).toBe(before + 6);
    await set('one', { model: 'one/down', state: 'auto' });
    expect(await circuit('one', 'down')).toMatchObject({
      state: 'closed',
      is_forced: false,
      since_at: expect.any(Number),
    });
  });

  it('is waited for by a job that has nothing else, and closes when it has healed', async () => {
    upstream.script('limited', fail(429, 'Slow down.', { 'retry-after-ms': '300' }), answer('Better.'));
    const job = await baton.run(alone('one/limited'));
    expect(job).toMatchObject({ status: 'completed', served_by: 'one/limited' });
    expect(await circuit('one', 'limited')).toMatchObject({ state: 'closed', calls_at_once: 1 });
  });
});

describe('A provider that is not protected', () => {
  it('is called however often it fails', async () => {
    upstream.script('always-down', fail(400));
    await runs('unprotected/always-down', 8);
    expect(upstream.calls('always-down')).toHaveLength(8);
    expect((await provider('unprotected')).keys[0]?.circuits).toEqual([]);
  });
});

describe('Keys of a provider', () => {
  const keyOf = (call: { headers: Readonly<Record<string, unknown>> }) =>
    String(call.headers['authorization']).replace('Bearer ', '');

  it('share the calls evenly', async () => {
    await runs('two/even', 10);
    const used = upstream.calls('even').map(keyOf);
    expect(used.filter((key) => key === SECRETS[0])).toHaveLength(5);
    expect(used.filter((key) => key === SECRETS[1])).toHaveLength(5);
  });

  it('rest alone when the provider does not take them, and the operator sees which and why', async () => {
    upstream.script('denied', (call, response) =>
      (keyOf(call) === SECRETS[0] ? fail(401, `Wrong key ${SECRETS[0]}`) : answer())(call, response),
    );
    const jobs = await runs('two/denied', 6);
    expect(jobs.map(({ status }) => status)).toEqual(Array(6).fill('completed'));
    expect(upstream.calls('denied').filter((call) => keyOf(call) === SECRETS[0])).toHaveLength(1);
    const { keys } = await provider('two');
    expect(keys.map(({ state }) => state).toSorted()).toEqual(['ready', 'resting']);
    const resting = keys.find(({ state }) => state === 'resting');
    expect(resting).toMatchObject({
      reason: expect.stringContaining('unauthorized'),
      since_at: expect.any(Number),
      until_at: expect.any(Number),
    });
    expect(JSON.stringify(keys)).not.toContain(SECRETS[0]);

    // It rests for every model, until an operator who has put it right says so.
    await runs('two/elsewhere', 4);
    expect(new Set(upstream.calls('elsewhere').map(keyOf))).toEqual(new Set([SECRETS[1]]));
    await set('two', { key_id: resting?.id, state: 'auto' });
    await runs('two/elsewhere', 2);
    expect(new Set(upstream.calls('elsewhere').map(keyOf))).toEqual(new Set(SECRETS));
  });

  it('that all rest say in the record why nothing is called', async () => {
    upstream.script('empty', fail(402, 'Top up your account.'));
    await runs('poor/empty', 1);
    const job = await baton.run(alone('poor/other', { messages: [{ role: 'user', content: 'Hi' }] }), {
      expires_in: 2,
    });
    expect(job.attempts[0]).toMatchObject({ outcome: 'skipped', class: 'circuit_open' });
    expect(job.attempts[0]?.message).toMatch(
      /^The account at poor is left alone until \S+Z: quota_exhausted: /,
    );
    expect(upstream.calls('other')).toHaveLength(0);
  });

  it('can be taken out by hand, one or all', async () => {
    const { keys } = await provider('two');
    const [first] = keys;
    const reply = await set('two', { key_id: first?.id, state: 'open', for_seconds: 600 });
    expect((reply.body['keys'] as Key[]).map(({ state }) => state)).toEqual(['resting', 'ready']);
    expect((reply.body['keys'] as Key[])[0]).toMatchObject({ reason: 'set by an operator', is_forced: true });
    await runs('two/by-hand', 3);
    expect(new Set(upstream.calls('by-hand').map(keyOf)).size).toBe(1);
    await set('two', { state: 'open' });
    expect((await provider('two')).keys).toMatchObject([
      { state: 'resting', until_at: null },
      { state: 'resting', until_at: null },
    ]);
    await set('two', { state: 'auto' });
    expect((await provider('two')).keys).toMatchObject([{ state: 'ready' }, { state: 'ready' }]);
  });
});

describe('A call that a job no longer wants', () => {
  it('says nothing of the model', async () => {
    upstream.script('slow', after(20_000, answer()));
    const jobs = await Promise.all(Array.from({ length: 6 }, () => baton.submit(alone('one/slow'))));
    await Promise.all(jobs.map(({ id }) => baton.until(id, (job) => job.attempts.length > 0)));
    await Promise.all(jobs.map(({ id }) => baton.request('POST', `/v1/jobs/${id}/cancel`)));
    await Promise.all(jobs.map(({ id }) => baton.ended(id)));
    expect(await circuit('one', 'slow')).toMatchObject({ state: 'closed', failures: 0 });
  });
});
