import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ScriptedUpstream } from '../../test/support/scripted-upstream.js';
import * as upstreamDoes from '../../test/support/upstream-behaviours.js';
import { runAgainstWall } from '../../test/support/wall.js';
import type { AppConfig, ProviderConfig } from '../config/config.js';
import { resolveHost } from '../egress/connector.js';
import { EgressService } from '../egress/egress.service.js';
import type { Answer, CallResult, Failure } from '../routing/call-result.js';
import { ENDPOINTS, type CallRequest } from './adapter.js';
import { ProvidersService } from './providers.service.js';

const MB = 2 ** 20;
const WALL_MS = 50;
const SECRET = 'sk-canary-0123456789abcdef';

/** Takes connections and says nothing, so that no TLS ever comes about. */
const mute = createServer((socket) => socket.on('error', () => socket.destroy()).resume());

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

let upstream: ScriptedUpstream;
let secure: ScriptedUpstream;
let egress: EgressService;
let providers: ProvidersService;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  secure = await ScriptedUpstream.start({ tls: true });
  const gone = await ScriptedUpstream.start();
  const goneUrl = gone.url;
  await gone.close();
  const config = configOf({
    up: upstream.url,
    secure: secure.url,
    gone: goneUrl,
    nowhere: 'http://nowhere.invalid/v1',
    wrong: upstream.url.replace('http:', 'https:'),
    mute: `https://127.0.0.1:${await listen(mute)}/v1`,
  });
  egress = new EgressService(config, { provider: resolveHost, webhook: resolveHost });
  providers = new ProvidersService(config, egress);
});

afterAll(async () => {
  await egress.onApplicationShutdown();
  await Promise.all([upstream.close(), secure.close()]);
  await new Promise((done) => mute.close(done));
});

function configOf(urls: Record<string, string>): AppConfig {
  const sim: ProviderConfig = { name: 'sim', kind: 'sim', baseUrl: '', apiKeys: [], protect: false };
  const others = Object.entries(urls).map(([name, baseUrl]): ProviderConfig => {
    return { name, kind: 'openai', baseUrl, apiKeys: [{ id: `${name}-1`, secret: SECRET }], protect: true };
  });
  const parts: Pick<AppConfig, 'egressAllowCidrs' | 'providers' | 'models'> = {
    egressAllowCidrs: [],
    providers: new Map([sim, ...others].map((provider) => [provider.name, provider])),
    models: new Map([['up/m', { inputUsdPerMtok: 1, outputUsdPerMtok: 2 }]]),
  };
  return parts as AppConfig;
}

function request(model: string, more: Partial<CallRequest> = {}): CallRequest {
  return {
    model,
    endpoint: '/v1/chat/completions',
    body: {
      model: 'policy/x',
      messages: [{ role: 'user', content: 'Good day' }],
      input: 'Good day',
      prompt: 'Good day',
    },
    keyId: `${model.slice(0, model.indexOf('/'))}-1`,
    timeoutMs: 5000,
    signal: new AbortController().signal,
    attemptId: 'att_1',
    attemptIndex: 0,
    ...more,
  };
}

function expectAnswer(result: CallResult): Answer {
  if (!result.ok) throw new Error(`failed: ${result.class}: ${result.message}`);
  return result;
}

function expectFailure(result: CallResult): Failure {
  if (result.ok) throw new Error(`answered: ${result.body.slice(0, 200)}`);
  return result;
}

/** What every provider promises, whatever carries its calls: one that hangs, one that answers, each by its model's name. */
describe.each([
  { name: 'a provider over the network', answers: 'up/m', hangs: 'up/hang', fails: 'up/fail', sent: true },
  { name: 'the simulation', answers: 'sim/echo', hangs: 'sim/hang', fails: 'sim/fail', sent: true },
])('$name', ({ answers, hangs, fails, sent }) => {
  beforeAll(() => {
    upstream.script('hang', upstreamDoes.hang());
    upstream.script('fail', upstreamDoes.fail(500));
  });

  test.each(ENDPOINTS)('answers %s in its shape, with usage, cost and an id', async (endpoint) => {
    const answer = expectAnswer(await providers.call(request(answers, { endpoint })));
    const body = JSON.parse(answer.body) as Record<string, unknown>;
    const list = { '/v1/responses': 'output', '/v1/embeddings': 'data' }[endpoint as string] ?? 'choices';
    expect(body[list]).toHaveLength(1);
    expect(answer.httpStatus).toBe(200);
    expect(answer.usage?.inputTokens).toBeGreaterThan(0);
    expect(answer.usage?.totalTokens).toBe(
      (answer.usage?.inputTokens ?? 0) + (answer.usage?.outputTokens ?? 0),
    );
    expect(answer.costMicros).not.toBeNull();
    expect(answer.upstreamRequestId).not.toBeNull();
  });

  test.each(ENDPOINTS)('gives a failure of %s as a value', async (endpoint) => {
    const failure = expectFailure(await providers.call(request(fails, { endpoint })));
    expect(failure).toMatchObject({ class: 'server_error', httpStatus: 500, sent });
    expect(failure.message).not.toBe('');
    expect(failure.body).toContain('error');
  });

  test('keeps the time-out as a wall', async () => {
    const { result, overMs } = await runAgainstWall(200, () =>
      providers.call(request(hangs, { timeoutMs: 200 })),
    );
    expect(expectFailure(result)).toMatchObject({ class: 'timeout', httpStatus: null, sent });
    expect(overMs).toBeGreaterThan(-10);
    expect(overMs).toBeLessThan(WALL_MS);
  });

  test('stops at once when the signal says so', async () => {
    const stop = new AbortController();
    const pending = providers.call(request(hangs, { signal: stop.signal }));
    await delay(50);
    const stoppedAt = performance.now();
    stop.abort();
    expectFailure(await pending);
    expect(performance.now() - stoppedAt).toBeLessThan(WALL_MS);
  });

  test('makes no call when the signal was given before', async () => {
    const before = upstream.calls().length;
    expectFailure(await providers.call(request(hangs, { signal: AbortSignal.abort() })));
    expect(upstream.calls()).toHaveLength(before);
  });
});

describe('a failure on the wire', () => {
  const inAMinute = () => new Date(Date.now() + 60_000).toUTCString();
  const does = upstreamDoes;
  const cases: [string, upstreamDoes.Behaviour, Partial<Failure>][] = [
    ['a reset before the headers', does.resetBeforeHeaders(), { class: 'connection_lost', httpStatus: null }],
    ['a reset after the headers', does.resetAfterHeaders(), { class: 'connection_lost' }],
    ['a body shorter than announced', does.truncated(), { class: 'connection_lost' }],
    ['a chunked body that is cut', does.cutChunked(), { class: 'connection_lost' }],
    ['bytes that are not HTTP', does.garbage(), { class: 'malformed', httpStatus: null }],
    ['half a JSON object', does.reply(200, '{"choices":[{"mess'), { class: 'malformed', httpStatus: 200 }],
    [
      'HTML with 200',
      does.reply(200, '<html>hi</html>', { 'content-type': 'text/html' }),
      { class: 'malformed' },
    ],
    ['nothing with 200', does.reply(200), { class: 'empty', httpStatus: 200 }],
    ['no choices', does.reply(200, { choices: [] }), { class: 'empty', httpStatus: 200 }],
    [
      'a redirect',
      does.reply(302, '', { location: 'http://169.254.169.254/' }),
      { class: 'malformed', httpStatus: 302 },
    ],
    ['a gzip bomb', does.gzipBomb(100), { class: 'malformed', httpStatus: 200 }],
    ['a body over the cap', does.huge(40 * MB), { class: 'malformed', httpStatus: null }],
    ['400', does.fail(400), { class: 'invalid_request', httpStatus: 400 }],
    ['401', does.fail(401), { class: 'unauthorized', httpStatus: 401 }],
    ['402', does.fail(402), { class: 'quota_exhausted', httpStatus: 402 }],
    ['403', does.fail(403), { class: 'unauthorized', httpStatus: 403 }],
    ['404', does.fail(404), { class: 'model_not_found', httpStatus: 404 }],
    ['408', does.fail(408), { class: 'timeout', httpStatus: 408 }],
    ['413', does.fail(413), { class: 'invalid_request', httpStatus: 413 }],
    ['422', does.fail(422), { class: 'invalid_request', httpStatus: 422 }],
    ['429', does.fail(429), { class: 'rate_limited', httpStatus: 429, retryAfterMs: null }],
    [
      '429 with seconds',
      does.fail(429, '', { 'retry-after': '7' }),
      { class: 'rate_limited', retryAfterMs: 7000 },
    ],
    ['429 with milliseconds', does.fail(429, '', { 'retry-after-ms': '350' }), { retryAfterMs: 350 }],
    [
      '429 with a huge wait',
      does.fail(429, '', { 'retry-after': '1'.repeat(30) }),
      { retryAfterMs: 604_800_000 },
    ],
    ['429 with a negative wait', does.fail(429, '', { 'retry-after': '-5' }), { retryAfterMs: null }],
    [
      '429 with a reset',
      does.fail(429, '', { 'x-ratelimit-reset-tokens': '6m0s' }),
      { retryAfterMs: 360_000 },
    ],
    ['500', does.fail(500), { class: 'server_error', httpStatus: 500 }],
    ['502', does.fail(502), { class: 'server_error', httpStatus: 502 }],
    [
      '503',
      does.fail(503, '', { 'retry-after': '3' }),
      { class: 'overloaded', httpStatus: 503, retryAfterMs: 3000 },
    ],
    ['504', does.fail(504), { class: 'timeout', httpStatus: 504 }],
    ['529', does.fail(529), { class: 'overloaded', httpStatus: 529 }],
  ];
  test.each(cases)('%s is told apart', async (_name, behaviour, expected) => {
    upstream.script('m', behaviour);
    const failure = expectFailure(await providers.call(request('up/m')));
    expect(failure).toMatchObject({ sent: true, keyId: 'up-1', ...expected });
    expect(failure.message).toMatch(/^up /);
    expect(failure.message.length).toBeLessThanOrEqual(500);
  });

  test('a wait given as a date counts from now', async () => {
    upstream.script('m', does.fail(429, '', { 'retry-after': inAMinute() }));
    const { retryAfterMs } = expectFailure(await providers.call(request('up/m')));
    expect(retryAfterMs).toBeGreaterThan(57_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test.each([
    ['a port where nobody listens', 'gone/m'],
    ['a name that does not exist', 'nowhere/m'],
    ['a certificate that nobody trusts', 'secure/m'],
    ['a server that does not speak TLS', 'wrong/m'],
  ])('%s is connect_failed, and nothing was sent', async (_name, model) => {
    const failure = expectFailure(await providers.call(request(model, { timeoutMs: 15_000 })));
    expect(failure).toMatchObject({ class: 'connect_failed', sent: false, httpStatus: null });
  });

  test('a connection that does not stand in time is connect_failed, and nothing was sent', async () => {
    const { result, overMs } = await runAgainstWall(300, () =>
      providers.call(request('mute/m', { timeoutMs: 300 })),
    );
    const failure = expectFailure(result);
    expect(failure).toMatchObject({ class: 'connect_failed', sent: false });
    expect(failure.message).toContain('mute could not be reached: No complete answer within 300 ms');
    expect(overMs).toBeLessThan(WALL_MS);
  });

  test('a slow drip ends at the time-out', async () => {
    upstream.script('m', does.drip());
    const { result, overMs } = await runAgainstWall(300, () =>
      providers.call(request('up/m', { timeoutMs: 300 })),
    );
    expect(expectFailure(result)).toMatchObject({ class: 'timeout', sent: true });
    expect(overMs).toBeLessThan(WALL_MS);
  });

  test('300 MB and a gzip bomb of 300 MB leave memory as it was', async () => {
    const bomb = does.gzipBomb(300);
    const before = process.memoryUsage().rss;
    for (const behaviour of [bomb, does.huge(300 * MB), does.huge(300 * MB, true)]) {
      upstream.script('m', behaviour);
      expect(expectFailure(await providers.call(request('up/m'))).class).toBe('malformed');
    }
    expect((process.memoryUsage().rss - before) / MB).toBeLessThan(64);
  });

  test('a thousand headers are no failure', async () => {
    upstream.script('m', does.manyHeaders(1000));
    expectAnswer(await providers.call(request('up/m')));
  });

  test('a bad answer still says what it cost', async () => {
    upstream.script(
      'm',
      does.reply(200, { choices: [], usage: { prompt_tokens: 100, completion_tokens: 10 } }),
    );
    const failure = expectFailure(await providers.call(request('up/m')));
    expect(failure).toMatchObject({
      class: 'empty',
      costMicros: 120,
      usage: { inputTokens: 100, outputTokens: 10 },
    });
  });

  test('a key that the provider echoes is shown nowhere', async () => {
    upstream.script('m', does.fail(401, `The key ${SECRET} is wrong.`));
    const failure = expectFailure(await providers.call(request('up/m')));
    expect(failure.message).toBe('up answered 401: The key [key] is wrong.');
    expect(JSON.stringify(failure)).not.toContain(SECRET);
  });
});

describe('a call', () => {
  test('passes the request on whole, and the answer back byte for byte', async () => {
    const text = '{"choices":[{"message":{"content":"\\u00fc"},"finish_reason":"stop"}], "odd": 1.50}\n';
    upstream.script('org/m', upstreamDoes.reply(200, text));
    const body = {
      model: 'policy/x',
      messages: [],
      temperature: 0.2,
      not_known_to_us: { a: [1, { b: null }] },
    };
    const answer = expectAnswer(await providers.call(request('up/org/m', { body, attemptId: 'att_42' })));
    expect(answer.body).toBe(text);
    expect(answer).toMatchObject({ keyId: 'up-1', usage: null, costMicros: null, upstreamRequestId: null });
    const call = upstream.calls('org/m')[0];
    expect(call?.path).toBe('/v1/chat/completions');
    expect(call?.body).toEqual({ ...body, model: 'org/m' });
    expect(call?.headers).toMatchObject({
      authorization: `Bearer ${SECRET}`,
      'x-request-id': 'att_42',
      'x-baton-attempt-id': 'att_42',
    });
  });

  test('of a provider that is not there is a failure without a call', async () => {
    expect(await providers.call(request('openai/gpt-5'))).toMatchObject({
      ok: false,
      class: 'model_not_found',
      sent: false,
    });
  });
});

describe('the simulation', () => {
  test.each([
    ['sim/fail', 'server_error', 500, null],
    ['sim/overloaded', 'overloaded', 503, null],
    ['sim/rate-limited', 'rate_limited', 429, 1000],
    ['sim/too-long', 'context_length_exceeded', 400, null],
    ['sim/filter', 'content_filtered', 400, null],
    ['sim/refuse', 'refused', 200, null],
    ['sim/empty', 'empty', 200, null],
    ['sim/malformed', 'malformed', 200, null],
    ['sim/nope', 'model_not_found', 404, null],
  ])('%s ends as %s', async (model, expected, httpStatus, retryAfterMs) => {
    const failure = expectFailure(await providers.call(request(model)));
    expect(failure).toMatchObject({ class: expected, httpStatus, retryAfterMs, costMicros: 0 });
  });

  test('echoes the last user message, and says that it simulates', async () => {
    const messages = [
      { role: 'user', content: 'one' },
      { role: 'user', content: [{ type: 'text', text: 'two' }] },
      { role: 'assistant', content: 'three' },
    ];
    const { body } = expectAnswer(await providers.call(request('sim/echo', { body: { messages } })));
    expect(body).toContain('two');
    expect(body).toContain('(simulated)');
    expect(body).toContain('"simulated":true');
  });

  test('fails about 3 calls of 10 of the flaky model, the same ones each time', async () => {
    const outcomes = async () => {
      const ids = Array.from({ length: 300 }, (_, index) => `att_${index}`);
      const results = await Promise.all(
        ids.map((attemptId) => providers.call(request('sim/flaky', { attemptId }))),
      );
      return results.map((result) => result.ok);
    };
    const first = await outcomes();
    expect(await outcomes()).toEqual(first);
    const failed = first.filter((isGood) => !isGood).length;
    expect(failed).toBeGreaterThan(60);
    expect(failed).toBeLessThan(120);
  });

  test('takes 2 seconds for the slow model', async () => {
    const startedAt = performance.now();
    expectAnswer(await providers.call(request('sim/slow')));
    expect(performance.now() - startedAt).toBeGreaterThan(1990);
  });
});

describe('whyUnknown', () => {
  test.each([['up/anything'], ['up/org/model:free'], ['sim/echo']])('lets %s through', (model) => {
    expect(providers.whyUnknown(model)).toBeNull();
  });

  test.each([
    ['gpt-5', /provider\/model/],
    ['', /provider\/model/],
    ['up/', /provider\/model/],
    ['/m', /provider\/model/],
    ['openai/gpt-5', /not switched on: set OPENAI_API_KEY/],
    ['opnai/gpt-5', /Did you mean `openai\/gpt-5`/],
    ['constructor/x', /no provider `constructor`/],
    ['zzzzzz/x', /Switched on: sim, up/],
    ['sim/ehco', /Did you mean `sim\/echo`/],
    ['sim/toString', /sim\/flaky/],
    [`up/${'x'.repeat(300)}`, /256/],
    ['up/a\u0000b', /control/],
  ])('says what is wrong with %.40p', (model, expected) => {
    expect(providers.whyUnknown(model)).toMatch(expected);
  });

  test('the list has names, kinds and key ids, but no key', () => {
    expect(providers.list()[1]).toEqual({ name: 'up', kind: 'openai', keyIds: ['up-1'] });
    expect(JSON.stringify(providers.list())).not.toContain(SECRET);
  });
});
