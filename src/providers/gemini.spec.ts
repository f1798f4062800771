import { adapterCases } from '../../test/support/adapter-cases.js';
import type { CallRequest, Endpoint } from './adapter.js';
import { geminiAdapter } from './gemini.js';

adapterCases(geminiAdapter, ['gemini.json']);

const KEY = { id: 'k', secret: 's3cret' };

function wire(
  model: string,
  body: Record<string, unknown>,
  endpoint: Endpoint = '/v1/chat/completions',
  key: typeof KEY | null = KEY,
) {
  const request: CallRequest = {
    model: `gemini/${model}`,
    endpoint,
    body,
    keyId: 'k',
    timeoutMs: 1000,
    signal: new AbortController().signal,
    attemptId: 'att_1',
    attemptIndex: 0,
  };
  const provider = {
    name: 'gemini',
    kind: 'gemini',
    baseUrl: 'https://api.test/v1beta',
    apiKeys: [],
    protect: true,
  } as const;
  const { url, headers, body: text } = geminiAdapter.toWire(request, provider, key);
  return { url, headers, body: JSON.parse(text) as Record<string, unknown> };
}

const HI = [{ role: 'user', content: 'Hi' }];

function call(id: string, signature?: string) {
  const signed = { extra_content: { google: { thought_signature: signature } } };
  return {
    id,
    type: 'function',
    function: { name: 'now', arguments: '{}' },
    ...(signature === undefined ? {} : signed),
  };
}

describe('a conversation with tools', () => {
  const answer = (id: string) => ({ role: 'tool', tool_call_id: id, content: '12:00' });
  const response = (id: string) => ({
    functionResponse: { id, name: 'now', response: { name: 'now', content: '12:00' } },
  });
  const functionCall = (id: string, thoughtSignature?: string) => ({
    functionCall: { id, name: 'now', args: {} },
    ...(thoughtSignature === undefined ? {} : { thoughtSignature }),
  });
  const SKIP = 'skip_thought_signature_validator';

  test('gives all answers to one turn of calls in one turn', () => {
    const messages = [
      { role: 'user', content: 'Time?' },
      { role: 'assistant', content: null, tool_calls: [call('a'), call('b')] },
      answer('a'),
      answer('b'),
      { role: 'user', content: 'And now?' },
      { role: 'assistant', content: 'Let me see.', tool_calls: [call('c')] },
      answer('c'),
    ];
    expect(wire('gemini-2.5-flash', { messages }).body.contents).toEqual([
      { role: 'user', parts: [{ text: 'Time?' }] },
      { role: 'model', parts: [functionCall('a'), functionCall('b')] },
      { role: 'user', parts: [response('a'), response('b')] },
      { role: 'user', parts: [{ text: 'And now?' }] },
      { role: 'model', parts: [{ text: 'Let me see.' }, functionCall('c')] },
      { role: 'user', parts: [response('c')] },
    ]);
  });

  test.each([
    ['gemini-2.5-flash', [call('a')], [functionCall('a')]],
    ['gemini-2.5-flash', [call('a', 'S')], [functionCall('a', 'S')]],
    ['gemini-3-flash-preview', [call('a', 'S'), call('b')], [functionCall('a', 'S'), functionCall('b')]],
    ['gemini-3-flash-preview', [call('a'), call('b')], [functionCall('a', SKIP), functionCall('b', SKIP)]],
    ['gemini-flash-latest', [call('a')], [functionCall('a', SKIP)]],
    ['models/gemini-3.5-flash', [call('a')], [functionCall('a', SKIP)]],
    ['gemma-3-27b-it', [call('a')], [functionCall('a')]],
  ])('gives %s its signatures back, or says that there are none', (model, toolCalls, parts) => {
    const messages = [
      ...HI,
      { role: 'assistant', tool_calls: toolCalls },
      ...toolCalls.map(({ id }) => answer(id)),
    ];
    expect(wire(model, { messages }).body).toHaveProperty('contents.1', { role: 'model', parts });
  });

  test('goes on with an answer of ours as it was given', () => {
    const reply = {
      candidates: [
        {
          content: {
            parts: [
              { text: 'Hm.', thought: true },
              { text: 'Let me see.', thoughtSignature: 'T' },
              functionCall('a', 'S'),
            ],
          },
          finishReason: 'STOP',
        },
      ],
    };
    const read = geminiAdapter.fromWire(
      { status: 200, headers: {}, body: Buffer.from(JSON.stringify(reply)) },
      '/v1/chat/completions',
      0,
    );
    const { choices } = JSON.parse(read.body ?? '') as { choices: [{ message: unknown }] };
    const messages = [...HI, choices[0].message, answer('a')];
    expect(geminiAdapter.whyNot('/v1/chat/completions', { messages })).toBeNull();
    expect(wire('gemini-3-flash-preview', { messages }).body).toHaveProperty('contents.1.parts', [
      { text: 'Let me see.', thoughtSignature: 'T' },
      functionCall('a', 'S'),
    ]);
  });

  test('leaves out a turn that says nothing', () => {
    const messages = [...HI, { role: 'assistant', content: '' }, { role: 'user', content: 'Hello?' }];
    expect(wire('gemini-2.5-flash', { messages }).body.contents).toEqual([
      { role: 'user', parts: [{ text: 'Hi' }] },
      { role: 'user', parts: [{ text: 'Hello?' }] },
    ]);
  });
});

describe('an effort', () => {
  test.each([
    ['gemini-2.5-flash', 'none', { thinkingBudget: 0 }],
    ['gemini-2.5-flash', 'minimal', { thinkingBudget: 1024 }],
    ['gemini-2.5-pro', 'high', { thinkingBudget: 24576 }],
    ['gemini-3-flash-preview', 'none', { thinkingBudget: 0 }],
    ['gemini-3-flash-preview', 'minimal', { thinkingLevel: 'minimal' }],
    ['gemini-3.1-pro-preview', 'minimal', { thinkingLevel: 'low' }],
    ['gemini-3.1-pro-preview', 'medium', { thinkingLevel: 'medium' }],
    ['gemini-pro-latest', 'high', { thinkingLevel: 'high' }],
  ])('of %s that is %s is %j', (model, effort, expected) => {
    const { body } = wire(model, { messages: HI, reasoning_effort: effort });
    expect(body.generationConfig).toEqual({ thinkingConfig: expected });
  });
});

describe('a schema', () => {
  const format = (schema: object, strict: boolean) => ({
    messages: HI,
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict } },
  });

  test('says a constant as a list of one, which Gemini knows', () => {
    const kind = (name: string) => ({
      type: 'object',
      properties: { kind: { const: name }, const: { type: 'string' } },
    });
    const told = (name: string) => ({
      type: 'object',
      properties: { kind: { enum: [name] }, const: { type: 'string' } },
    });
    const body = format({ anyOf: [kind('a'), kind('b')], $defs: { n: { items: { const: 7 } } } }, true);
    expect(geminiAdapter.whyNot('/v1/chat/completions', body)).toBeNull();
    expect(wire('gemini-2.5-flash', body).body.generationConfig).toEqual({
      responseMimeType: 'application/json',
      responseJsonSchema: { anyOf: [told('a'), told('b')], $defs: { n: { items: { enum: [7] } } } },
    });
  });

  test('says the definitions of older drafts in the words of the newer one', () => {
    const body = format(
      {
        $ref: '#/definitions/a',
        definitions: { a: { properties: { definitions: { $ref: '#/definitions/b' } } }, b: { const: 1 } },
      },
      true,
    );
    expect(geminiAdapter.whyNot('/v1/chat/completions', body)).toBeNull();
    expect(wire('gemini-2.5-flash', body).body.generationConfig).toMatchObject({
      responseJsonSchema: {
        $ref: '#/$defs/a',
        $defs: { a: { properties: { definitions: { $ref: '#/$defs/b' } } }, b: { enum: [1] } },
      },
    });
  });

  test.each([
    [{ $defs: {}, definitions: {} }, 'definitions'],
    [{ properties: { a: { pattern: '^x' } } }, 'properties.a.pattern'],
    [{ allOf: [{ type: 'string' }] }, 'allOf'],
    [{ items: { multipleOf: 2 } }, 'items.multipleOf'],
    [{ $defs: { a: { anyOf: [{}, { not: {} }] } } }, '$defs.a.anyOf.1.not'],
    [{ properties: { a: { const: true } } }, 'properties.a.const'],
    [{ enum: ['a', null] }, 'enum'],
    [{ additionalProperties: { minLength: 1 } }, 'additionalProperties.minLength'],
  ])('%j is not carried if it is strict, because of %s', (schema, keyword) => {
    const reason = geminiAdapter.whyNot('/v1/chat/completions', format(schema, true));
    expect(reason).toContain(`\`response_format.json_schema.schema.${keyword}\``);
    expect(geminiAdapter.whyNot('/v1/chat/completions', format(schema, false))).toBeNull();
  });

  test('of a strict tool is held to the same', () => {
    const tools = [
      {
        type: 'function',
        function: { name: 'f', strict: true, parameters: { properties: { a: { pattern: 'x' } } } },
      },
    ];
    const reason = geminiAdapter.whyNot('/v1/chat/completions', { messages: HI, tools });
    expect(reason).toContain('`tools.f.parameters.properties.a.pattern`');
  });
});

describe('files', () => {
  const image = (url: string, detail?: string) => ({
    type: 'image_url',
    image_url: { url, ...(detail === undefined ? {} : { detail }) },
  });
  const file = (data: string, filename?: string) => ({
    type: 'file',
    file: { file_data: data, ...(filename === undefined ? {} : { filename }) },
  });
  const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });
  const tool = (...content: object[]) => ({
    messages: [
      ...HI,
      { role: 'assistant', tool_calls: [call('a')] },
      { role: 'tool', tool_call_id: 'a', content },
    ],
  });
  const PNG = 'data:image/png;base64,iVBORw0KGgo=';

  test.each([
    [
      image('https://a.test/x.webp?y=.gif'),
      { fileData: { mimeType: 'image/webp', fileUri: 'https://a.test/x.webp?y=.gif' } },
    ],
    [image('https://a.test/x'), { fileData: { mimeType: 'image/jpeg', fileUri: 'https://a.test/x' } }],
    [
      file('https://a.test/x.PDF'),
      { fileData: { mimeType: 'application/pdf', fileUri: 'https://a.test/x.PDF' } },
    ],
    [file('https://a.test/x', 'y.csv'), { fileData: { mimeType: 'text/csv', fileUri: 'https://a.test/x' } }],
    [file(PNG), { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }],
    [
      { type: 'input_audio', input_audio: { data: 'UklG', format: 'mp3' } },
      { inlineData: { mimeType: 'audio/mp3', data: 'UklG' } },
    ],
  ])('%j is written as %j', (part, expected) => {
    expect(geminiAdapter.whyNot('/v1/chat/completions', user(part))).toBeNull();
    expect(wire('gemini-2.5-flash', user(part)).body).toHaveProperty('contents.0.parts.0', expected);
  });

  test('that a tool gave back go along with its answer', () => {
    const body = tool({ type: 'text', text: 'Look:' }, image(PNG));
    expect(wire('gemini-3-flash-preview', body).body).toHaveProperty('contents.2.parts.0.functionResponse', {
      id: 'a',
      name: 'now',
      response: { name: 'now', content: 'Look:' },
      parts: [{ inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }],
    });
  });

  test.each([
    ['whose type is not told', user(file('https://a.test/x')), "does not tell the file's type"],
    ['at an address, given by a tool', tool(image('https://a.test/x.png')), 'in the answer of a tool'],
    ['in two details', user(image(PNG, 'low'), image(PNG)), '`image_url.detail`'],
  ])('%s are not carried', (_name, body, reason) => {
    expect(geminiAdapter.whyNot('/v1/chat/completions', body)).toContain(reason);
  });
});

describe('a tier of service', () => {
  test('that Gemini has is asked for', () => {
    const body = { messages: HI, service_tier: 'flex' };
    expect(geminiAdapter.whyNot('/v1/chat/completions', body)).toBeNull();
    expect(wire('gemini-2.5-flash', body).body.serviceTier).toBe('flex');
  });

  test('that it does not have is a reason', () => {
    const reason = geminiAdapter.whyNot('/v1/chat/completions', { messages: HI, service_tier: 'scale' });
    expect(reason).toContain('`service_tier`');
  });
});

test.each([
  ['flex', true],
  [undefined, false],
])('asked for in the service tier %s, an answer has other prices than the list: %s', (tier, isOffList) => {
  const body =
    '{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":{"promptTokenCount":1}}';
  const reply = { status: 200, headers: {}, body: Buffer.from(body) };
  const { usage } = geminiAdapter.fromWire(reply, '/v1/chat/completions', 0, { service_tier: tier });
  expect(usage?.isOffList ?? false).toBe(isOffList);
});

test('sound is told apart in the usage', () => {
  const usageMetadata = {
    promptTokenCount: 100,
    candidatesTokenCount: 5,
    cachedContentTokenCount: 50,
    promptTokensDetails: [
      { modality: 'TEXT', tokenCount: 10 },
      { modality: 'AUDIO', tokenCount: 90 },
    ],
    cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 50 }],
  };
  expect(geminiAdapter.toUsage({ usageMetadata })).toMatchObject({
    audio: { inputTokens: 90, cachedInputTokens: 50, outputTokens: 0 },
  });
});

describe('embeddings', () => {
  test('are asked for all at once', () => {
    const body = { model: 'm', input: ['a', 'b'], dimensions: 256, encoding_format: 'float', user: 'u' };
    expect(geminiAdapter.whyNot('/v1/embeddings', body)).toBeNull();
    const each = { model: 'models/gemini-embedding-001', outputDimensionality: 256 };
    expect(wire('gemini-embedding-001', body, '/v1/embeddings')).toMatchObject({
      url: 'https://api.test/v1beta/models/gemini-embedding-001:batchEmbedContents',
      body: {
        requests: [
          { ...each, content: { role: 'user', parts: [{ text: 'a' }] } },
          { ...each, content: { role: 'user', parts: [{ text: 'b' }] } },
        ],
      },
    });
  });

  test('come in base64 to who asks for it, as the client of OpenAI does', () => {
    const body = { input: 'a', encoding_format: 'base64' };
    expect(geminiAdapter.whyNot('/v1/embeddings', body)).toBeNull();
    const reply = {
      status: 200,
      headers: {},
      body: Buffer.from('{"embeddings":[{"values":[1,-2.5,0]}]}'),
    };
    const reading = geminiAdapter.fromWire(reply, '/v1/embeddings', 0, body);
    const packed = Buffer.from(new Float32Array([1, -2.5, 0]).buffer).toString('base64');
    expect(JSON.parse(reading.body ?? '')).toMatchObject({ data: [{ index: 0, embedding: packed }] });
  });

  test('of one text are a list of one', () => {
    const { requests } = wire('e', { input: 'a' }, '/v1/embeddings').body;
    expect(requests).toEqual([{ model: 'models/e', content: { role: 'user', parts: [{ text: 'a' }] } }]);
  });

  test.each([
    [{ input: 'a', encoding_format: 'int8' }, '`encoding_format`'],
    [{ input: [1, 2] }, '`input`'],
    [{ input: [[1], [2]] }, '`input`'],
    [{}, '`input`'],
    [{ input: Array.from({ length: 101 }, () => 'a') }, 'more than 100 texts'],
    [{ input: 'a', wild: 1 }, '`wild`'],
  ])('of %j are not carried, because of %s', (body, reason) => {
    expect(geminiAdapter.whyNot('/v1/embeddings', body)).toContain(reason);
  });
});

test('what is nested too deep to be written again is told, in an answer and in a request', () => {
  const args = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
  const text = `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":${args}}}]}}]}`;
  const reply = { status: 200, headers: {}, body: Buffer.from(text) };
  expect(geminiAdapter.fromWire(reply, '/v1/chat/completions', 0)).toMatchObject({
    ok: false,
    class: 'malformed',
    message: 'answered with JSON that is nested too deep',
  });
  const messages = [
    ...HI,
    { role: 'assistant', tool_calls: [{ ...call('a'), function: { name: 'f', arguments: args } }] },
  ];
  expect(geminiAdapter.whyNot('/v1/chat/completions', { messages })).toContain('nested too deep');
});

test.each(['/v1/completions', '/v1/responses'] as const)('%s has no counterpart', (endpoint) => {
  expect(geminiAdapter.whyNot(endpoint, { messages: HI })).toBe(
    `Gemini's API cannot carry this request: it has no counterpart of ${endpoint}.`,
  );
});

test.each([
  ['gemini-2.5-flash', 'models/gemini-2.5-flash:generateContent'],
  ['models/gemini-2.5-flash', 'models/gemini-2.5-flash:generateContent'],
  ['tunedModels/mine', 'tunedModels/mine:generateContent'],
  ['../../files', 'models/..%2F..%2Ffiles:generateContent'],
  ['models/..', 'models/..:generateContent'],
  ['x?key=y#z', 'models/x%3Fkey%3Dy%23z:generateContent'],
  ['x:countTokens', 'models/x%3AcountTokens:generateContent'],
  ['\ud800', 'models/%EF%BF%BD:generateContent'],
])('the model %j is called at %s, and nowhere else', (model, path) => {
  const { url } = wire(model, { messages: HI });
  expect(url).toBe(`https://api.test/v1beta/${path}`);
  expect(new URL(url).href).toBe(url);
});

test('the key goes into a header of its own, and none is sent to a server without keys', () => {
  const { headers, url } = wire('gemini-2.5-flash', { messages: HI });
  expect(headers).toMatchObject({ 'x-goog-api-key': 's3cret', 'x-request-id': 'att_1' });
  expect(headers).not.toHaveProperty('authorization');
  expect(url).not.toContain('s3cret');
  const without = wire('gemini-2.5-flash', { messages: HI }, '/v1/chat/completions', null);
  expect(without.headers).not.toHaveProperty('x-goog-api-key');
});
