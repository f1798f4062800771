import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoint, Reading, WireReply } from './adapter.js';
import { openaiAdapter } from './openai.js';

/** One reply as a provider documents it, and what must be read from it. */
interface Fixture {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  /** In place of `body`, for what is not JSON. */
  readonly text?: string;
  readonly expect: { readonly message?: string } & Record<string, unknown>;
}

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const folder = join(__dirname, 'fixtures');
const fixtures = ['openai.json', 'compatible.json'].flatMap((file) => {
  const { cases } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { cases: Fixture[] };
  return cases.map((fixture) => [`${file}: ${fixture.name}`, fixture] as const);
});

function wire(status: number, body: string | Buffer, headers: Record<string, string> = {}): WireReply {
  return { status, headers, body: Buffer.from(body) };
}

function read(reply: WireReply, endpoint: Endpoint = '/v1/chat/completions'): Reading {
  return openaiAdapter.fromWire(reply, endpoint, NOW_MS);
}

test.each(fixtures)('%s', (_name, fixture) => {
  const text = fixture.text ?? JSON.stringify(fixture.body);
  const reading = read(wire(fixture.status, text, fixture.headers), fixture.endpoint);
  const { message = '', ...expected } = fixture.expect;
  expect(reading).toMatchObject({ ok: false, ...expected });
  expect(reading.body).toBe(text);
  expect(reading.ok ? '' : reading.message).toContain(message);
});

describe('a status alone', () => {
  test.each([
    [301, 'malformed'],
    [302, 'malformed'],
    [307, 'malformed'],
    [400, 'invalid_request'],
    [401, 'unauthorized'],
    [402, 'quota_exhausted'],
    [403, 'unauthorized'],
    [404, 'model_not_found'],
    [405, 'invalid_request'],
    [408, 'timeout'],
    [409, 'overloaded'],
    [410, 'model_not_found'],
    [413, 'context_length_exceeded'],
    [415, 'invalid_request'],
    [418, 'invalid_request'],
    [422, 'invalid_request'],
    [429, 'rate_limited'],
    [500, 'server_error'],
    [501, 'server_error'],
    [502, 'server_error'],
    [503, 'overloaded'],
    [504, 'timeout'],
    [522, 'overloaded'],
    [524, 'timeout'],
    [529, 'overloaded'],
    [599, 'server_error'],
  ])('of %d means %s', (status, expected) => {
    expect(read(wire(status, ''))).toMatchObject({ ok: false, class: expected, body: null });
    expect(read(wire(status, '<html>Oops</html>'))).toMatchObject({ ok: false, class: expected });
    expect(read(wire(status, 'not \u0000 JSON'))).toMatchObject({ ok: false, class: expected });
    expect(read(wire(status, '{"error":null}'))).toMatchObject({ ok: false, class: expected });
    expect(read(wire(status, '[]'))).toMatchObject({ ok: false, class: expected });
  });
});

describe('a reply with 200', () => {
  test.each([
    ['nothing at all', '', 'empty'],
    ['a page', '<html><body>Welcome to nginx!</body></html>', 'malformed'],
    ['half a JSON object', '{"id":"chatcmpl-1","choices":[{"index":0,"mess', 'malformed'],
    ['a list', '[]', 'malformed'],
    ['a text', '"hello"', 'malformed'],
    ['null', 'null', 'malformed'],
    ['a stream', 'data: {"choices":[]}\n\ndata: [DONE]\n\n', 'malformed'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'malformed'],
    ['an error as a text', '{"error":"something broke"}', 'server_error'],
    [
      'an error of the caller',
      '{"error":{"type":"invalid_request_error","message":"bad"}}',
      'invalid_request',
    ],
    ['choices that are none', '{"choices":[null,7]}', 'empty'],
    ['choices that are no list', '{"choices":{"0":{}}}', 'malformed'],
  ])('and %s is %p', (_name, body, expected) => {
    expect(read(wire(200, body))).toMatchObject({ ok: false, class: expected });
  });

  test('that is compressed is malformed, and says so', () => {
    const reading = read(wire(200, '{"choices":[]}', { 'content-encoding': 'gzip' }));
    expect(reading).toMatchObject({
      ok: false,
      class: 'malformed',
      message: expect.stringContaining('gzip') as string,
    });
  });

  test('is kept byte for byte, whatever its content type says', () => {
    const body =
      '{ "choices" : [{"message":{"content":"\\u00fc ü \\ud83d\\ude00", "x":1.0}}],\n "n": 12345678901234567890 }';
    expect(read(wire(200, body, { 'content-type': 'text/plain' }))).toMatchObject({ ok: true, body });
  });
});

describe('usage', () => {
  test.each([
    [{}, null],
    [{ prompt_tokens: -1, completion_tokens: -1 }, null],
    [{ prompt_tokens: '12', completion_tokens: null }, null],
    [{ prompt_tokens: 1e300 }, null],
    [{ prompt_tokens: 1.5, completion_tokens: 2 }, [0, 2, 2, 0]],
    [{ prompt_tokens: 10, completion_tokens: 2, total_tokens: -5 }, [10, 2, 12, 0]],
    [{ prompt_tokens: 10, prompt_tokens_details: { cached_tokens: 99 } }, [10, 0, 10, 10]],
    [{ prompt_tokens: 10, prompt_tokens_details: { cached_tokens: -3 } }, [10, 0, 10, 0]],
    [{ input_tokens: 3, output_tokens: 4, input_tokens_details: null }, [3, 4, 7, 0]],
  ])('%p is read as %p', (usage, expected) => {
    const [inputTokens, outputTokens, totalTokens, cachedInputTokens] = expected ?? [];
    const asObject = expected === null ? null : { inputTokens, outputTokens, totalTokens, cachedInputTokens };
    if (asObject === null) expect(openaiAdapter.toUsage({ usage })).toBeNull();
    else expect(openaiAdapter.toUsage({ usage })).toMatchObject(asObject);
  });

  test.each([null, undefined, 'x', [], { usage: 7 }, { usage: [] }])('of %p is not known', (body) => {
    expect(openaiAdapter.toUsage(body)).toBeNull();
  });
});

describe('a request', () => {
  const provider = {
    name: 'p',
    kind: 'openai',
    baseUrl: 'https://api.test/inference/v1',
    apiKeys: [],
    protect: true,
  } as const;
  const request = {
    model: 'p/org/model:free',
    endpoint: '/v1/chat/completions',
    body: {
      model: 'policy/x',
      messages: [{ role: 'user', content: 'ü' }],
      unknown_field: { deep: [1, null] },
    },
    keyId: 'k',
    timeoutMs: 1000,
    signal: new AbortController().signal,
    attemptId: 'att_1',
    attemptIndex: 0,
  } as const;

  test('goes to the endpoint under the base URL, whole but for the model', () => {
    const wireRequest = openaiAdapter.toWire(request, provider, { id: 'k', secret: 's3cret' });
    expect(wireRequest.url).toBe('https://api.test/inference/v1/chat/completions');
    expect(JSON.parse(wireRequest.body)).toEqual({ ...request.body, model: 'org/model:free' });
    expect(wireRequest.headers).toMatchObject({ authorization: 'Bearer s3cret', 'x-request-id': 'att_1' });
  });

  test('to a provider without keys has no authorization', () => {
    expect(openaiAdapter.toWire(request, provider, null).headers).not.toHaveProperty('authorization');
  });
});
