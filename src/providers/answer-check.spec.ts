import { Logger } from '@nestjs/common';
import { leastCpuMs } from '../../test/support/wall.js';
import type { Answer } from '../routing/call-result.js';
import type { Expectation } from '../routing/expectation.js';
import type { FailureClass } from '../routing/failure.js';
import type { Endpoint } from './adapter.js';
import { AnswerChecker } from './answer-check.js';

const NOTHING: Expectation = {
  json: false,
  jsonSchema: false,
  finishReason: null,
  notEmpty: false,
  minLength: null,
  pattern: null,
};
const CHAT = '/v1/chat/completions';
const checker = new AnswerChecker();

function answer(body: unknown): Answer {
  return {
    ok: true,
    httpStatus: 200,
    upstreamRequestId: 'req_1',
    usage: null,
    costMicros: 12,
    keyId: 'up-1',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}

function chat(
  content: unknown,
  more: Record<string, unknown> = {},
  finish_reason: unknown = 'stop',
): unknown {
  return { choices: [{ index: 0, message: { role: 'assistant', content, ...more }, finish_reason }] };
}

const TOOL_CALLS = {
  tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
};

function response(text: string | null, more: Record<string, unknown> = {}, items: unknown[] = []): unknown {
  const message = { type: 'message', content: [{ type: 'output_text', text }] };
  const reasoning = { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] };
  return { status: 'completed', output: [reasoning, ...(text === null ? [] : [message]), ...items], ...more };
}

function completion(text: string, finish_reason = 'stop'): unknown {
  return { choices: [{ index: 0, text, finish_reason }] };
}

function withSchema(schema: unknown): Record<string, unknown> {
  return { response_format: { type: 'json_schema', json_schema: { name: 'n', schema } } };
}

type Case = [
  name: string,
  expect: Partial<Expectation>,
  endpoint: Endpoint,
  body: unknown,
  expected: FailureClass | null,
  message?: string,
];

const CASES: Case[] = [
  ['nothing is asked of it', {}, CHAT, chat(''), null],

  ['JSON is JSON', { json: true }, CHAT, chat('{"a":1}'), null],
  ['a number is JSON', { json: true }, CHAT, chat(' 7\n'), null],
  [
    'prose is not JSON',
    { json: true },
    CHAT,
    chat('Sure! {"a":1}'),
    'schema_mismatch',
    'The answer is not JSON.',
  ],
  ['half a JSON object is not JSON', { json: true }, CHAT, chat('{"a":'), 'schema_mismatch'],
  ['no text is not JSON', { json: true }, CHAT, chat(null), 'schema_mismatch'],
  [
    'parts of text are joined',
    { json: true },
    CHAT,
    chat([
      { type: 'text', text: '{"a"' },
      { type: 'text', text: ':1}' },
    ]),
    null,
  ],
  [
    'thoughts among the parts are left out',
    { json: true },
    CHAT,
    chat([
      { type: 'thinking', text: 'hm' },
      { type: 'text', text: '{}' },
    ]),
    null,
  ],
  ['a call of a tool has no JSON to show', { json: true }, CHAT, chat(null, TOOL_CALLS, 'tool_calls'), null],
  [
    'what is said before a tool is called is not the answer yet',
    { json: true, minLength: 99, pattern: 'x' },
    CHAT,
    chat('Let me see', TOOL_CALLS, 'tool_calls'),
    null,
  ],
  [
    'a call of a function of old is one too',
    { json: true, notEmpty: true },
    CHAT,
    chat(null, { function_call: { name: 'f', arguments: '{}' } }),
    null,
  ],
  [
    'every choice must do',
    { json: true },
    CHAT,
    { choices: [{ message: { content: '{}' } }, { message: { content: 'no' } }] },
    'schema_mismatch',
    '`choices[1]` of the answer is not JSON.',
  ],
  ['a completion is JSON', { json: true }, '/v1/completions', completion('[]'), null],
  ['a completion is not JSON', { json: true }, '/v1/completions', completion('no'), 'schema_mismatch'],
  ['a response is JSON', { json: true }, '/v1/responses', response('[]'), null],
  ['a response is not JSON', { json: true }, '/v1/responses', response('no'), 'schema_mismatch'],
  [
    'a response that calls a function has no JSON to show',
    { json: true, finishReason: ['tool_calls'] },
    '/v1/responses',
    response(null, {}, [{ type: 'function_call', name: 'f', arguments: '{}' }]),
    null,
  ],
  [
    'a response whose search was run by the provider has',
    { json: true },
    '/v1/responses',
    response('no', {}, [{ type: 'web_search_call' }]),
    'schema_mismatch',
  ],

  ['it stopped as asked', { finishReason: ['stop', 'tool_calls'] }, CHAT, chat('x'), null],
  [
    'it was cut',
    { finishReason: ['stop', 'tool_calls'] },
    CHAT,
    chat('x', {}, 'length'),
    'truncated',
    'The answer stopped for the reason length; asked for is stop, tool_calls.',
  ],
  [
    'it was cut before what it says is looked at',
    { finishReason: ['stop'], json: true },
    CHAT,
    chat('{"a', {}, 'length'),
    'truncated',
  ],
  ['it was filtered', { finishReason: ['stop'] }, CHAT, chat('x', {}, 'content_filter'), 'content_filtered'],
  [
    'it stopped for another reason',
    { finishReason: ['stop'] },
    CHAT,
    chat('x', {}, 'insufficient_system_resource'),
    'malformed',
  ],
  [
    'it does not say why it stopped',
    { finishReason: ['stop'] },
    CHAT,
    chat('x', {}, null),
    'malformed',
    'does not say why it stopped',
  ],
  ["Together's word for stop will do", { finishReason: ['stop'] }, CHAT, chat('x', {}, 'eos'), null],
  [
    "Mistral's word for length is length",
    { finishReason: ['stop'] },
    CHAT,
    chat('x', {}, 'model_length'),
    'truncated',
  ],
  ['being cut may be what is asked for', { finishReason: ['length'] }, CHAT, chat('x', {}, 'length'), null],
  [
    'a reason of great length is cut',
    { finishReason: ['stop'] },
    CHAT,
    chat('x', {}, 'y'.repeat(10_000)),
    'malformed',
  ],
  [
    'a completion was cut',
    { finishReason: ['stop'] },
    '/v1/completions',
    completion('x', 'length'),
    'truncated',
  ],
  ['a response is complete', { finishReason: ['stop'] }, '/v1/responses', response('x'), null],
  [
    'a response was cut',
    { finishReason: ['stop'] },
    '/v1/responses',
    response('x', { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }),
    'truncated',
  ],
  [
    'a response was filtered',
    { finishReason: ['stop'] },
    '/v1/responses',
    response('x', { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }),
    'content_filtered',
  ],
  [
    'a response does not say why it stopped',
    { finishReason: ['stop'] },
    '/v1/responses',
    response('x', { status: 'incomplete' }),
    'malformed',
  ],

  ['there is text', { notEmpty: true }, CHAT, chat('x'), null],
  ['there is a call', { notEmpty: true }, CHAT, chat(null, TOOL_CALLS), null],
  ['there is speech', { notEmpty: true }, CHAT, chat(null, { audio: { id: 'a', data: 'AA==' } }), null],
  [
    'there is nothing but spaces',
    { notEmpty: true },
    CHAT,
    chat(' \n\t\u00a0'),
    'empty',
    'The answer has nothing in it.',
  ],
  [
    'there is nothing in the second choice',
    { notEmpty: true },
    CHAT,
    { choices: [{ message: { content: 'x' } }, { message: {} }] },
    'empty',
    '`choices[1]`',
  ],
  ['there are no choices', { notEmpty: true }, CHAT, { choices: [] }, 'empty'],
  ['there is nothing in a completion', { notEmpty: true }, '/v1/completions', completion(''), 'empty'],
  ['there is reasoning alone in a response', { notEmpty: true }, '/v1/responses', response(null), 'empty'],
  [
    'there is a picture in a response',
    { notEmpty: true },
    '/v1/responses',
    response(null, {}, [{ type: 'image_generation_call', result: 'AA==' }]),
    null,
  ],

  ['it is as long as asked', { minLength: 3 }, CHAT, chat('abc'), null],
  [
    'it is too short',
    { minLength: 4 },
    CHAT,
    chat('abc'),
    'empty',
    'has 3 characters; asked for are at least 4',
  ],
  [
    'pictures of two units are one character',
    { minLength: 3 },
    CHAT,
    chat('😀😀'),
    'empty',
    'has 2 characters',
  ],

  ['the pattern is in it', { pattern: '\\bOK\\b' }, CHAT, chat('all OK!'), null],
  [
    'the pattern is not in it',
    { pattern: '\\bOK\\b' },
    CHAT,
    chat('all wrong'),
    'schema_mismatch',
    'does not have the pattern',
  ],
  [
    'a pattern that would explode elsewhere is not in it',
    { pattern: '(x+x+)+y' },
    CHAT,
    chat('x'.repeat(100_000)),
    'schema_mismatch',
  ],

  [
    'embeddings are there, and nothing else is asked of them',
    { ...NOTHING, json: true, finishReason: ['stop'], notEmpty: true, minLength: 9, pattern: 'x' },
    '/v1/embeddings',
    { data: [{ embedding: [0.1] }, { embedding: 'AACAPw==' }] },
    null,
  ],
  [
    'an embedding is empty',
    { notEmpty: true },
    '/v1/embeddings',
    { data: [{ embedding: [1] }, { embedding: [] }] },
    'empty',
    '`data[1]`',
  ],
  ['an answer that is no JSON object is empty', { notEmpty: true }, CHAT, 'null', 'empty'],
];

test.each(CASES)('%s', (_name, expectation, endpoint, body, expected, message = '') => {
  const result = checker.check({ ...NOTHING, ...expectation }, endpoint, {}, answer(body));
  expect(result?.class ?? null).toBe(expected);
  expect(result?.message ?? '').toContain(message);
  expect(result?.message.length ?? 0).toBeLessThanOrEqual(500);
});

test('the failure keeps what the answer cost, and the answer itself', () => {
  const usage = {
    inputTokens: 1,
    outputTokens: 2,
    totalTokens: 3,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  };
  const good = { ...answer(chat(' ')), usage };
  expect(checker.check({ ...NOTHING, notEmpty: true }, CHAT, {}, good)).toEqual({
    ok: false,
    class: 'empty',
    message: 'The answer has nothing in it.',
    httpStatus: 200,
    upstreamRequestId: 'req_1',
    usage,
    costMicros: 12,
    keyId: 'up-1',
    sent: true,
    retryAfterMs: null,
    body: good.body,
  });
});

test('the failure keeps at most 64 KiB of a long answer', () => {
  const long = answer(chat('ü'.repeat(100_000)));
  const failure = checker.check({ ...NOTHING, json: true }, CHAT, {}, long);
  expect(Buffer.byteLength(failure?.body ?? '')).toBe(64 * 1024);
});

describe('the schema of the request', () => {
  beforeAll(() => Logger.overrideLogger(false));

  const PERSON = {
    type: 'object',
    properties: { name: { type: 'string', pattern: '^[A-Z]' }, age: { type: 'integer' } },
    required: ['name'],
    additionalProperties: false,
  };

  function check(schema: unknown, text: string, endpoint: Endpoint = CHAT): string | null {
    const request =
      endpoint === '/v1/responses'
        ? { text: { format: { type: 'json_schema', name: 'n', schema } } }
        : withSchema(schema);
    const body = endpoint === '/v1/responses' ? response(text) : chat(text);
    const failure = checker.check({ ...NOTHING, jsonSchema: true }, endpoint, request, answer(body));
    expect(failure?.class ?? 'schema_mismatch').toBe('schema_mismatch');
    return failure?.message ?? null;
  }

  const NOT = "The answer does not match the request's JSON schema: ";

  test.each<[string, unknown, string, string | null]>([
    ['is met', PERSON, '{"name":"Ann","age":3}', null],
    ['needs JSON first', PERSON, 'Ann', 'The answer is not JSON.'],
    ['names the place', PERSON, '{"name":"Ann","age":"3"}', `${NOT}at /age must be integer.`],
    ['names what is missing', PERSON, '{}', `${NOT}must have required property 'name'.`],
    ['keeps its patterns', PERSON, '{"name":"ann"}', `${NOT}at /name must match pattern "^[A-Z]".`],
    ['keeps others out', PERSON, '{"name":"A","x":1}', `${NOT}must NOT have additional properties.`],
    [
      'may refer to itself',
      { $ref: '#/$defs/a', $defs: { a: { type: 'array', items: { $ref: '#/$defs/a' } } } },
      '[[[1]]]',
      `${NOT}at /0/0/0 must be array.`,
    ],
    [
      'does not take what is inherited',
      { required: ['constructor'] },
      '{}',
      `${NOT}must have required property 'constructor'.`,
    ],
    ['of today has tuples', { prefixItems: [{ type: 'string' }] }, '[1]', `${NOT}at /0 must be string.`],
    [
      'of draft 7 has them too',
      { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] },
      '[1]',
      `${NOT}at /0 must be string.`,
    ],
    [
      'of 2019-09 is known',
      { $schema: 'https://json-schema.org/draft/2019-09/schema', dependentRequired: { a: ['b'] } },
      '{"a":1}',
      `${NOT}must have property b when property a is present.`,
    ],
    ['does not assert formats', { type: 'string', format: 'email' }, '"x"', null],
    ['may have words of its own', { type: 'string', 'x-mine': 1, example: 'y' }, '"x"', null],
    ['counts cents', { multipleOf: 0.01 }, '19.99', null],
    ['cannot be a promise', { $async: true, type: 'string' }, '1', `${NOT}must be string.`],
  ])('%s', (_name, schema, text, expected) => {
    expect(check(schema, text)).toBe(expected);
    expect(check(schema, text, '/v1/responses')).toBe(expected);
    expect(check(schema, text)).toBe(expected);
  });

  test.each<[string, unknown]>([
    ['is none', undefined],
    ['is no object', 'string'],
    ['is invalid', { type: 'strin' }],
    ['has a keyword of the wrong type', { minLength: 'a' }],
    ['refers to another document', { $ref: 'https://example.com/schema.json' }],
    ['refers to nothing', { $ref: '#/$defs/nothing' }],
    ['has a pattern that is not RE2', { type: 'string', pattern: '^(?=.*\\d)' }],
    ['has a pattern of great length', { type: 'string', pattern: 'a'.repeat(2_000) }],
    ['is too large', { enum: ['x'.repeat(130_000)] }],
    ['has a promise inside', { properties: { a: { $async: true, type: 'string' } }, type: 'string' }],
  ])('that %s lets any JSON pass, but still asks for JSON', (_name, schema) => {
    expect(check(schema, '{"a":1}')).toBeNull();
    const isCarried = typeof schema === 'object';
    expect(check(schema, 'no')).toBe(isCarried ? 'The answer is not JSON.' : null);
  });

  test('that cannot be checked is logged once, without its words', () => {
    const lines: unknown[] = [];
    const keep = (line: unknown) => lines.push(line);
    Logger.overrideLogger({ log: keep, error: keep, warn: keep });
    const schema = { $ref: 'https://example.com/canary' };
    check(schema, '1');
    check(schema, '2');
    Logger.overrideLogger(false);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('cannot be checked');
    expect(lines[0]).not.toContain('canary');
  });

  test('that is nested very deep is not checked', () => {
    let deep: unknown = {};
    for (let depth = 0; depth < 2_000; depth++) deep = { items: deep };
    expect(check(deep, '[]')).toBeNull();
  });

  test('with the `$id` of another schema does not meet that one', () => {
    const id = 'https://example.com/mine';
    expect(check({ $id: id, type: 'string' }, '"x"')).toBeNull();
    expect(check({ $id: id, type: 'number' }, '1')).toBeNull();
    expect(check({ $ref: id }, '{}')).toBeNull();
  });

  test('that takes forever to check is not met, and the process goes on', () => {
    const $defs: Record<string, unknown> = { d40: { type: 'string' } };
    for (let level = 0; level < 40; level++) {
      $defs[`d${level}`] = { allOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] };
    }
    expect(check({ $ref: '#/$defs/d0', $defs }, '"x"')).toMatch(/takes more than 500 ms to check/);
    expect(check(PERSON, '{"name":"Ann"}')).toBeNull();
  });

  test('has patterns that do not explode', () => {
    expect(check({ pattern: '^(a+)+$' }, `"${'a'.repeat(50_000)}!"`)).toContain('must match pattern');
  });

  test('meets an answer that is nested very deep without falling', () => {
    const schema = { $ref: '#/$defs/a', $defs: { a: { type: 'array', items: { $ref: '#/$defs/a' } } } };
    expect(check(schema, '['.repeat(100_000) + ']'.repeat(100_000))).toContain('nested too deep to check');
  });

  test('is compiled once, and not for each answer', () => {
    const properties = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`p${index}`, { type: 'string', enum: ['a', 'b'] }]),
    );
    const firstMs = leastCpuMs(() => check({ properties, title: String(Math.random()) }, '{}'));
    const laterMs = leastCpuMs(() => check({ properties }, '{}'));
    expect(laterMs).toBeLessThan(firstMs / 4);
  });
});
