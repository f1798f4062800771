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

adapterCases(openaiAdapter, ['openai.json', 'compatible.json', 'recorded.json']);

describe('a reply with 200', () => {
  test.each([
    ['an error as a text', '{"error":"something broke"}', 'server_error'],
    [
      'an error of the caller',
      '{"error":{"type":"invalid_request_error","message":"bad"}}',
      'invalid_request',
    ],
    ['choices that are none', '{"choices":[null,7]}', 'empty'],
    [
      'reasoning up to the limit, and nothing else',
      '{"choices":[{"message":{"content":"","reasoning":"Hm"},"finish_reason":"length"}]}',
      'truncated',
    ],
    ['choices that are no list', '{"choices":{"0":{}}}', 'malformed'],
  ])('and %s is %p', (_name, body, expected) => {
    expect(read(wire(200, body))).toMatchObject({ ok: false, class: expected });
  });

  test.each([
    [{ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }, 'truncated'],
    [{ status: 'completed' }, 'empty'],
  ])('and a response of %j with nothing but reasoning is %s', (fields, expected) => {
    for (const output of [[], [{ type: 'reasoning', summary: [] }]]) {
      const reply = wire(200, JSON.stringify({ ...fields, output }));
      expect(read(reply, '/v1/responses')).toMatchObject({ ok: false, class: expected });
    }
  });

  test('is kept byte for byte, whatever its content type says', () => {
    const body =
      '{ "choices" : [{"message":{"content":"\\u00fc ü \\ud83d\\ude00", "x":1.0}}],\n "n": 12345678901234567890 }';
    expect(read(wire(200, body, { 'content-type': 'text/plain' }))).toMatchObject({ ok: true, body });
  });
});

test.each<[string, object, number | null]>([
  ['OpenRouter says it', { cost: 0.002 }, 0.002],
  [
    'OpenRouter says it, with what it paid itself',
    { cost: 0.002, is_byok: false, cost_details: { upstream_inference_cost: 0.002 } },
    0.002,
  ],
  [
    'OpenRouter used a key of the caller, which is billed beside its fee',
    { cost: 0.0001, is_byok: true, cost_details: { upstream_inference_cost: 0.002 } },
    0.0021,
  ],
  ['nobody says what that key is billed', { cost: 0.0001, is_byok: true }, null],
  ['DeepInfra says it', { estimated_cost: 0.003 }, 0.003],
  [
    'Perplexity says it, with its searches',
    { cost: { input_tokens_cost: 0.001, request_cost: 0.005, total_cost: 0.006 } },
    0.006,
  ],
  ['it is no number', { cost: '1', estimated_cost: -1 }, null],
])('the cost of a call is known where %s', (_name, usage, expected) => {
  const body = { choices: [{ message: { content: 'Hi' } }], usage: { prompt_tokens: 1, ...usage } };
  const { statedCostUsd } = read(wire(200, JSON.stringify(body)));
  expect(statedCostUsd === null ? null : Math.round(statedCostUsd * 1e6)).toBe(
    expected === null ? null : expected * 1e6,
  );
});

describe('usage', () => {
  test.each([
    ['default', false],
    ['on_demand', false],
    ['flex', true],
    ['priority', true],
  ])('in the service tier %s has other prices than the list: %s', (service_tier, isOffList) => {
    const read = openaiAdapter.toUsage({ service_tier, usage: { prompt_tokens: 1 } });
    expect(read?.isOffList ?? false).toBe(isOffList);
  });

  test('tells sound apart, which has prices of its own', () => {
    const prompt_tokens_details = { cached_tokens: 0, audio_tokens: 90 };
    const completion_tokens_details = { reasoning_tokens: 0, audio_tokens: 40 };
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details,
      completion_tokens_details,
    };
    const audio = { inputTokens: 90, cachedInputTokens: 0, outputTokens: 40 };
    expect(openaiAdapter.toUsage({ usage })).toMatchObject({ audio });
    const silent = { ...usage, prompt_tokens_details: {}, completion_tokens_details: { audio_tokens: 0 } };
    expect(openaiAdapter.toUsage({ usage: silent })).not.toHaveProperty('audio');
  });

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

  test.each([
    [
      'OpenAI, chat',
      {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 60 },
        completion_tokens_details: { reasoning_tokens: 40 },
      },
      [100, 50, 150, 60, 0, 40],
    ],
    [
      'OpenAI, responses',
      {
        input_tokens: 100,
        output_tokens: 50,
        total_tokens: 150,
        input_tokens_details: { cached_tokens: 60 },
        output_tokens_details: { reasoning_tokens: 40 },
      },
      [100, 50, 150, 60, 0, 40],
    ],
    [
      'a provider with a price for cache writes',
      {
        prompt_tokens: 100,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
      },
      [100, 1, 101, 60, 30, 0],
    ],
    [
      'more in the cache than there was',
      {
        prompt_tokens: 100,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 99 },
      },
      [100, 1, 101, 60, 40, 0],
    ],
    [
      'DeepSeek',
      {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_cache_hit_tokens: 64,
        prompt_cache_miss_tokens: 36,
      },
      [100, 50, 150, 64, 0, 0],
    ],
    [
      'xAI, which leaves reasoning out of the completion',
      {
        prompt_tokens: 32,
        completion_tokens: 9,
        total_tokens: 135,
        completion_tokens_details: { reasoning_tokens: 94 },
      },
      [32, 103, 135, 0, 0, 94],
    ],
    [
      'Gemini, which tells of thoughts by the total alone',
      { prompt_tokens: 10, completion_tokens: 20, total_tokens: 500 },
      [10, 490, 500, 0, 0, 470],
    ],
    ['embeddings', { prompt_tokens: 8, total_tokens: 8 }, [8, 0, 8, 0, 0, 0]],
    [
      'more reasoning than output',
      { prompt_tokens: 8, completion_tokens: 2, completion_tokens_details: { reasoning_tokens: 9 } },
      [8, 2, 10, 0, 0, 2],
    ],
  ])(
    'of %s is told apart',
    (
      _,
      usage,
      [inputTokens, outputTokens, totalTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens],
    ) => {
      expect(openaiAdapter.toUsage({ usage })).toEqual({
        inputTokens,
        outputTokens,
        totalTokens,
        cachedInputTokens,
        cacheWriteTokens,
        reasoningTokens,
      });
    },
  );
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
