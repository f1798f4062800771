import { adapterCases } from '../../test/support/adapter-cases.js';
import type { CallRequest } from './adapter.js';
import { anthropicAdapter } from './anthropic.js';
import { at, type JsonObject } from './json.js';

adapterCases(anthropicAdapter, ['anthropic.json']);

const CHAT = '/v1/chat/completions';
const PROVIDER = {
  name: 'anthropic',
  kind: 'anthropic',
  baseUrl: 'https://api.test/v1',
  apiKeys: [],
  protect: true,
} as const;

const ask = { role: 'user', content: 'Hi' };

function write(body: JsonObject, model = 'claude-haiku-4-5'): JsonObject {
  const request: CallRequest = {
    model: `anthropic/${model}`,
    endpoint: CHAT,
    body: { messages: [ask], ...body },
    keyId: null,
    timeoutMs: 1000,
    signal: new AbortController().signal,
    attemptId: 'att_1',
    attemptIndex: 0,
  };
  return JSON.parse(anthropicAdapter.toWire(request, PROVIDER, null).body) as JsonObject;
}

test.each(['/v1/completions', '/v1/embeddings', '/v1/responses'] as const)(
  '%s is not carried',
  (endpoint) => {
    expect(anthropicAdapter.whyNot(endpoint, { input: 'Hi' })).toBe(
      `Anthropic's API answers /v1/chat/completions only, not ${endpoint}.`,
    );
  },
);

test('blank texts, which Anthropic refuses, are left out', () => {
  const messages = [
    { role: 'system', content: '' },
    {
      role: 'user',
      content: [
        { type: 'text', text: ' ' },
        { type: 'text', text: 'Hi' },
      ],
    },
    {
      role: 'assistant',
      content: '\n\n',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: '1' },
  ];
  const body = write({ messages });
  expect(body).not.toHaveProperty('system');
  expect(body.messages).toEqual([
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'f', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: '1' }] },
  ]);
});

test('what is not carried is told in one sentence', () => {
  expect(anthropicAdapter.whyNot(CHAT, { messages: [ask], n: 3 })).toBe(
    "Anthropic's API cannot carry this request: it gives one answer to a request (`n` is 3).",
  );
});

test('a provider without keys is called without one', () => {
  const request = { model: 'a/b', endpoint: CHAT, body: { messages: [ask] }, attemptId: 'att_1' };
  const { headers, url } = anthropicAdapter.toWire(request as unknown as CallRequest, PROVIDER, null);
  expect(headers).not.toHaveProperty('x-api-key');
  expect(headers).toMatchObject({ 'x-request-id': 'att_1', 'anthropic-version': '2023-06-01' });
  expect(url).toBe('https://api.test/v1/messages');
});

test.each([
  ['claude-3-haiku-20240307', 4096],
  ['claude-3-5-haiku-20241022', 8192],
  ['claude-3-7-sonnet-20250219', 8192],
  ['claude-opus-4-1', 32_000],
  ['claude-haiku-4-5', 32_000],
  ['claude-opus-9', 32_000],
])('%s may write %d tokens where the caller sets no limit', (model, expected) => {
  expect(write({}, model).max_tokens).toBe(expected);
});

test.each([
  ['claude-3-7-sonnet-20250219', { type: 'enabled', budget_tokens: 5000 }, undefined],
  ['claude-sonnet-4-20250514', { type: 'enabled', budget_tokens: 5000 }, undefined],
  ['claude-opus-4-0', { type: 'enabled', budget_tokens: 5000 }, undefined],
  ['claude-haiku-4-5-20251001', { type: 'enabled', budget_tokens: 5000 }, undefined],
  ['claude-sonnet-4-6', { type: 'adaptive' }, { effort: 'medium' }],
  ['claude-opus-4-7-20260101', { type: 'adaptive' }, { effort: 'medium' }],
  ['claude-sonnet-5', { type: 'adaptive' }, { effort: 'medium' }],
])('%s is made to think by %p and %p', (model, thinking, outputConfig) => {
  const body = write({ reasoning_effort: 'medium', max_tokens: 10_000 }, model);
  expect([body.thinking, body.output_config]).toEqual([thinking, outputConfig]);
});

test('a budget of thinking is never under the smallest that is taken', () => {
  const { thinking } = write({ reasoning_effort: 'low', max_tokens: 2000 });
  expect(thinking).toEqual({ type: 'enabled', budget_tokens: 1024 });
});

test('thinking that came with an answer goes back with the next request, and that of others does not', () => {
  const signed = { type: 'thinking', thinking: 'Hm.', signature: 's' };
  const extra = { anthropic: { content: [signed, { type: 'server_tool_use' }] }, google: { parts: [{}] } };
  const said = { role: 'assistant', content: 'Hello.', extra_content: extra };
  expect(write({ messages: [ask, said, ask] }).messages).toEqual([
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    { role: 'assistant', content: [signed, { type: 'text', text: 'Hello.' }] },
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
  ]);
});

test('an answer that is sent back is carried, whatever it held', () => {
  const blocks = [
    { type: 'thinking', thinking: 'Hm.', signature: 's' },
    { type: 'text', text: 'Look: ' },
    { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: [1, null] } },
  ];
  const message = { type: 'message', content: blocks, stop_reason: 'tool_use' };
  const reply = { status: 200, headers: {}, body: Buffer.from(JSON.stringify(message)) };
  const { body } = anthropicAdapter.fromWire(reply, CHAT, 0);
  const { choices } = JSON.parse(body ?? '') as { choices: { message: JsonObject }[] };
  const messages = [ask, choices[0]?.message, { role: 'tool', tool_call_id: 'toolu_1', content: '2' }];
  expect(anthropicAdapter.whyNot(CHAT, { messages })).toBeNull();
  expect(write({ messages }).messages).toEqual([
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    { role: 'assistant', content: blocks },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: '2' }] },
  ]);
});

test('a number in a call of a tool keeps all its digits, there and back', () => {
  const id = '12345678901234567890';
  const message = `{"content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"id":${id}}}],"stop_reason":"tool_use"}`;
  const { body } = anthropicAdapter.fromWire(
    { status: 200, headers: {}, body: Buffer.from(message) },
    CHAT,
    0,
  );
  const calls = at(JSON.parse(body ?? ''), 'choices', 0, 'message', 'tool_calls');
  expect(at(calls, 0, 'function', 'arguments')).toBe(`{"id":${id}}`);
  const messages = [
    ask,
    { role: 'assistant', tool_calls: calls },
    { role: 'tool', tool_call_id: 'toolu_1', content: '' },
  ];
  const request = { model: 'a/b', endpoint: CHAT, body: { messages }, attemptId: 'att_1' };
  const wire = anthropicAdapter.toWire(request as unknown as CallRequest, PROVIDER, null);
  expect(wire.body).toContain(`"input":{"id":${id}}`);
});

test('a description of a format and of its schema are both told', () => {
  const schema = { type: 'object', description: 'One person', properties: {}, additionalProperties: false };
  const format = { type: 'json_schema', json_schema: { name: 'p', description: 'The answer', schema } };
  expect(write({ response_format: format })).toMatchObject({
    output_config: { format: { schema: { description: 'The answer\nOne person' } } },
  });
});

describe('usage', () => {
  test.each([
    [{ input_tokens: 3, output_tokens: 4 }, [3, 4, 7, 0, 0, 0]],
    [{ output_tokens: 4 }, [0, 4, 4, 0, 0, 0]],
    [{ input_tokens: -3, output_tokens: 4 }, [0, 4, 4, 0, 0, 0]],
    [{ input_tokens: 3, cache_read_input_tokens: null, output_tokens: 4 }, [3, 4, 7, 0, 0, 0]],
    [{ input_tokens: 3, cache_read_input_tokens: 5, output_tokens: 4 }, [8, 4, 12, 5, 0, 0]],
    [{ input_tokens: 3, cache_creation_input_tokens: 5, output_tokens: 4 }, [8, 4, 12, 0, 5, 0]],
    [
      { input_tokens: 3, output_tokens: 4, output_tokens_details: { thinking_tokens: 9 } },
      [3, 4, 7, 0, 0, 4],
    ],
  ])('%p is read as %p', (usage, expected) => {
    const [inputTokens, outputTokens, totalTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens] =
      expected;
    expect(anthropicAdapter.toUsage({ usage })).toEqual({
      inputTokens,
      outputTokens,
      totalTokens,
      cachedInputTokens,
      cacheWriteTokens,
      reasoningTokens,
    });
  });

  test.each([{ input_tokens: '3' }, { input_tokens: 1e300 }, {}])('%p says nothing', (usage) => {
    expect(anthropicAdapter.toUsage({ usage })).toBeNull();
  });
});
