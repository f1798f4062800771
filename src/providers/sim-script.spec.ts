import type { AppConfig } from '../config/config.js';
import { resolveHost } from '../egress/connector.js';
import { EgressService } from '../egress/egress.service.js';
import type { CallResult } from '../routing/call-result.js';
import type { Expectation } from '../routing/expectation.js';
import { FAILURE_CLASSES, FAILURES, type FailureClass } from '../routing/failure.js';
import { ENDPOINTS, type Endpoint } from './adapter.js';
import { AnswerChecker } from './answer-check.js';
import { ProvidersService } from './providers.service.js';

const parts: Pick<AppConfig, 'egressAllowCidrs' | 'providers' | 'models'> = {
  egressAllowCidrs: [],
  providers: new Map([['sim', { name: 'sim', kind: 'sim', baseUrl: '', apiKeys: [], protect: false }]]),
  models: new Map(),
};
const config = parts as AppConfig;
const egress = new EgressService(config, { provider: resolveHost, webhook: resolveHost });
const providers = new ProvidersService(config, egress);
const checker = new AnswerChecker();

afterAll(() => egress.onApplicationShutdown());

const STRICT: Expectation = {
  json: false,
  jsonSchema: true,
  finishReason: ['stop'],
  notEmpty: true,
  minLength: null,
  pattern: null,
};

function call(
  sim: unknown,
  attemptIndex = 0,
  endpoint: Endpoint = '/v1/chat/completions',
  name = 'echo',
): Promise<CallResult> {
  return providers.call({
    model: `sim/${name}`,
    endpoint,
    body: { messages: [{ role: 'user', content: 'Hi' }], input: 'Hi', prompt: 'Hi', sim },
    keyId: null,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    attemptId: 'att_1',
    attemptIndex,
  });
}

/** How the call ends for a policy that expects much: with a class of failure, or with null. */
async function classOf(sim: unknown, endpoint?: Endpoint): Promise<FailureClass | null> {
  const result = await call(sim, 0, endpoint);
  if (!result.ok) return result.class;
  const schema = { type: 'object' };
  const request = {
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema } },
    text: { format: { type: 'json_schema', name: 'n', schema } },
  };
  // What `ok` says is no object either, so the schema is only asked of what was scripted to miss it.
  const expectation = { ...STRICT, jsonSchema: JSON.stringify(sim) === '["schema_mismatch"]' };
  return checker.check(expectation, endpoint ?? '/v1/chat/completions', request, result)?.class ?? null;
}

/** Our own `locally_limited` and the like are decided without a call. */
const ON_THE_WIRE = FAILURE_CLASSES.filter(
  (name) => name === 'connect_failed' || FAILURES[name].group !== 'not_sent',
);
const TEXT_ENDPOINTS = ENDPOINTS.filter((endpoint) => endpoint !== '/v1/embeddings');

describe.each(TEXT_ENDPOINTS)('on %s', (endpoint) => {
  test.each(ON_THE_WIRE)('%s comes out as itself', async (name) => {
    expect(await classOf([name], endpoint)).toBe(name);
  });

  test('ok is a good answer', async () => {
    expect(await classOf(['ok'], endpoint)).toBeNull();
  });
});

test.each(ON_THE_WIRE)('on embeddings %s comes out as itself, or as a wrong script', async (name) => {
  const isOfText = ['refused', 'truncated', 'schema_mismatch'].includes(name);
  expect(await classOf([name], '/v1/embeddings')).toBe(isOfText ? 'invalid_request' : name);
});

test.each(FAILURE_CLASSES.filter((name) => !ON_THE_WIRE.includes(name)))(
  '%s, which is decided before a call, is a wrong script',
  async (name) => {
    const result = await call([name]);
    expect(result).toMatchObject({ ok: false, class: 'invalid_request' });
    expect(result.ok ? '' : result.message).toContain('decided before a call');
  },
);

test.each([
  ['rate_limited:5', 5_000],
  ['overloaded:0.25', 250],
  ['server_error:2', 2_000],
  ['rate_limited', null],
])('%s asks to stay away for %p ms', async (outcome, retryAfterMs) => {
  expect(await call([outcome])).toMatchObject({ ok: false, retryAfterMs });
});

test('whether a failed call was sent is as in the network', async () => {
  expect(await call(['connect_failed'])).toMatchObject({ sent: false, httpStatus: null });
  expect(await call(['connection_lost'])).toMatchObject({ sent: true, httpStatus: null });
  expect(await call(['timeout'])).toMatchObject({ sent: true, httpStatus: 504 });
});

test('each attempt has its own outcome, and after the last the model does as always', async () => {
  const script = ['rate_limited:5', 'ok'];
  expect(await call(script, 0, undefined, 'fail')).toMatchObject({ class: 'rate_limited' });
  expect(await call(script, 1, undefined, 'fail')).toMatchObject({ ok: true, costMicros: 0 });
  expect(await call(script, 2, undefined, 'fail')).toMatchObject({ class: 'server_error' });
});

test.each([
  ['ok', '`sim` must be a list'],
  [{ outcomes: ['ok'] }, '`sim` must be a list'],
  [null, '`sim` must be a list'],
  [Array.from({ length: 1_001 }, () => 'ok'), '`sim` must be a list'],
  [['nope'], '`nope` is no outcome'],
  [[7], '`7` is no outcome'],
  [[null], '`null` is no outcome'],
  [['rate_limited:x'], 'must be seconds'],
])('wrong script %# is told', async (script, why) => {
  const result = await call(script);
  expect(result).toMatchObject({ ok: false, class: 'invalid_request', httpStatus: 400 });
  expect(result.ok ? '' : result.message).toContain(why);
});
