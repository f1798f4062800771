import { adapterCases } from '../../test/support/adapter-cases.js';
import type { Endpoint, Reading, WireReply } from './adapter.js';
import { openaiAdapter } from './openai.js';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

function wire(status: number, body: string | Buffer, headers: Record<string, string> = {}): WireReply {
  return { status, headers, body: Buffer.from(body) };
}

function read(reply: WireReply, endpoint: Endpoint = '/v1/chat/completions'): Reading {
  return openaiAdapter.fromWire(reply, endpoint, NOW_MS);
}

adapterCases(openaiAdapter, ['openai.json', 'compatible.json']);

describe('a reply with 200', () => {
  test.each([
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
    const some: unknown = expect.objectContaining({
      inputTokens,
      outputTokens,
      totalTokens,
      cachedInputTokens,
    });
    expect(openaiAdapter.toUsage({ usage })).toEqual(expected === null ? null : some);
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
