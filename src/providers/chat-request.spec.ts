import { readChatRequest, type ChatRequest } from './chat-request.js';
import type { JsonObject } from './json.js';

const ask = { role: 'user', content: 'Hi' };
const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } };
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };
const turn = { role: 'user', parts: [{ type: 'text', text: 'Hi' }] };

const NOTHING: ChatRequest = {
  instructions: [],
  turns: [turn as ChatRequest['turns'][number]],
  tools: [],
  toolChoice: null,
  parallelToolCalls: null,
  format: { type: 'text' },
  stop: [],
  maxTokens: null,
  temperature: null,
  topP: null,
  topK: null,
  seed: null,
  frequencyPenalty: null,
  presencePenalty: null,
  n: 1,
  topLogprobs: null,
  reasoningEffort: null,
  user: null,
  others: {},
};

test.each<[string, JsonObject, Partial<ChatRequest>]>([
  ['nothing but a message', {}, {}],
  ['the newer of both token limits', { max_tokens: 5, max_completion_tokens: 7 }, { maxTokens: 7 }],
  ['the older token limit alone', { max_tokens: 5, max_completion_tokens: null }, { maxTokens: 5 }],
  ['a stop as a text', { stop: 'END' }, { stop: ['END'] }],
  ['stops as a list', { stop: ['a', 'b'] }, { stop: ['a', 'b'] }],
  ['no penalty', { frequency_penalty: 0, presence_penalty: 0 }, {}],
  [
    'penalties',
    { frequency_penalty: 0.5, presence_penalty: -1 },
    { frequencyPenalty: 0.5, presencePenalty: -1 },
  ],
  ['log probabilities that are off', { logprobs: false, top_logprobs: null }, {}],
  ['log probabilities', { logprobs: true }, { topLogprobs: 0 }],
  ['log probabilities of alternatives', { logprobs: true, top_logprobs: 3 }, { topLogprobs: 3 }],
  ['several answers', { n: 3 }, { n: 3 }],
  ['an effort', { reasoning_effort: 'low' }, { reasoningEffort: 'low' }],
  ['a choice of tools without tools', { tools: [], tool_choice: 'auto', parallel_tool_calls: false }, {}],
  [
    'a tool that has to be called',
    { tools: [tool], tool_choice: { type: 'function', function: { name: 'f' } } },
    {
      tools: [{ name: 'f', description: null, parameters: { type: 'object' }, strict: null }],
      toolChoice: { name: 'f' },
    },
  ],
  [
    'a schema',
    { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } } },
    {
      format: {
        type: 'json_schema',
        name: 'x',
        description: null,
        schema: { type: 'object' },
        strict: false,
      },
    },
  ],
  [
    'fields without effect',
    { model: 'a/b', metadata: { a: 'b' }, store: true, stream: false, prompt_cache_key: 'k', logit_bias: {} },
    {},
  ],
  ['fields that say what is so anyway', { modalities: ['text'], service_tier: 'auto', verbosity: null }, {}],
  [
    'fields of other providers that say what is so anyway',
    { top_k: -1, min_p: 0, repetition_penalty: 1, transforms: [], usage: { include: true } },
    {},
  ],
  ['a field that is not known', { wild: [1] }, { others: { wild: [1] } }],
  ['a field with an effect', { logit_bias: { 50256: -100 } }, { others: { logit_bias: { 50256: -100 } } }],
])('%s is read', (_name, body, expected) => {
  expect(readChatRequest({ messages: [ask], ...body })).toEqual({ ...NOTHING, ...expected });
});

const PNG = 'data:image/png;base64,iVBORw0KGgo=';

test.each<[string, readonly unknown[], Partial<ChatRequest>]>([
  [
    'words of the system before the first turn',
    [{ role: 'system', content: 'A' }, { role: 'developer', content: [{ type: 'text', text: 'B' }] }, ask],
    { instructions: ['A', 'B'] },
  ],
  [
    'blank words of the system',
    [{ role: 'system', content: '' }, ask, { role: 'system', content: ' \n' }],
    {},
  ],
  [
    'words of the system later on',
    [ask, { role: 'system', content: 'A' }],
    { turns: [NOTHING.turns[0] as never, { role: 'system', text: 'A' }] },
  ],
  [
    'calls of tools and what they gave back',
    [
      ask,
      { role: 'assistant', content: null, tool_calls: [call], refusal: null, annotations: [] },
      { role: 'tool', tool_call_id: 'c1', name: 'f', content: '42' },
    ],
    {
      turns: [
        NOTHING.turns[0] as never,
        {
          role: 'assistant',
          texts: [],
          toolCalls: [{ id: 'c1', name: 'f', arguments: { a: 1 }, extra: null }],
          extra: null,
        },
        { role: 'tool', callId: 'c1', name: 'f', parts: [{ type: 'text', text: '42' }] },
      ],
    },
  ],
  [
    'a call without arguments, with what its provider wants back',
    [
      ask,
      {
        role: 'assistant',
        reasoning_content: 'Hm.',
        reasoning_details: [{ type: 'reasoning.text', text: 'Hm.' }],
        extra_content: { x: 1 },
        tool_calls: [{ ...call, extra_content: { x: 2 }, function: { name: 'f', arguments: '' } }],
      },
    ],
    {
      turns: [
        NOTHING.turns[0] as never,
        {
          role: 'assistant',
          texts: [],
          toolCalls: [{ id: 'c1', name: 'f', arguments: {}, extra: { x: 2 } }],
          extra: { x: 1 },
        },
      ],
    },
  ],
  [
    'pictures, sounds and files',
    [
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'https://x.test/a.png', detail: 'low' } },
          { type: 'image_url', image_url: { url: PNG } },
          { type: 'image_url', image_url: { url: 'data:image/jpg;charset=utf-8;base64,/9j/' } },
          { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
          { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
        ],
      },
    ],
    {
      turns: [
        {
          role: 'user',
          parts: [
            { type: 'image', source: { type: 'url', url: 'https://x.test/a.png' }, detail: 'low' },
            {
              type: 'image',
              source: { type: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' },
              detail: 'auto',
            },
            {
              type: 'image',
              source: { type: 'base64', mediaType: 'image/jpeg', data: '/9j/' },
              detail: 'auto',
            },
            { type: 'audio', format: 'wav', data: 'UklGRg==' },
            {
              type: 'file',
              source: { type: 'base64', mediaType: 'application/pdf', data: 'JVBERi0=' },
              filename: 'a.pdf',
            },
          ],
        },
      ],
    },
  ],
])('messages: %s are read', (_name, messages, expected) => {
  expect(readChatRequest({ messages })).toEqual({ ...NOTHING, ...expected });
});

test.each<[string, JsonObject]>([
  ['`messages` has no message', {}],
  ['`messages` is not a list', { messages: 'Hi' }],
  ['`messages[0]` is not an object', { messages: ['Hi'] }],
  ['`messages[0].role` is none', { messages: [{ role: 'function', content: 'x' }] }],
  ['`messages[0].name` is a field', { messages: [{ role: 'user', name: 'Ann', content: 'Hi' }] }],
  ['`messages[0].audio` is a field', { messages: [{ role: 'assistant', audio: { id: 'a' } }] }],
  ['`messages[0].content[0].type`', { messages: [{ role: 'user', content: [{ type: 'video_url', x: 1 }] }] }],
  ['`messages[0].content[0].cache_control`', bodyOf({ type: 'text', text: 'x', cache_control: {} })],
  ['`messages[0].content[0].image_url.url`', bodyOf({ type: 'image_url', image_url: { url: 'ftp://x' } })],
  [
    '`messages[0].content[0].image_url.detail`',
    bodyOf({ type: 'image_url', image_url: { url: PNG, detail: 'x' } }),
  ],
  ['`messages[0].content[0].file.file_id`', bodyOf({ type: 'file', file: { file_id: 'file-1' } })],
  ['`messages[0].content[0].file.file_data`', bodyOf({ type: 'file', file: { file_data: 'JVBERi0=' } })],
  ['`messages[0].content[0].input_audio`', bodyOf({ type: 'input_audio' })],
  ['`messages[1].tool_call_id`', { messages: [ask, { role: 'tool', tool_call_id: 'c9', content: 'x' }] }],
  [
    '`messages[1].name` is not the function',
    {
      messages: [
        { role: 'assistant', tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', name: 'g', content: 'x' },
      ],
    },
  ],
  [
    '`messages[0].tool_calls[0].function.arguments` is not a JSON object',
    {
      messages: [{ role: 'assistant', tool_calls: [{ ...call, function: { name: 'f', arguments: '[1' } }] }],
    },
  ],
  [
    '`messages[0].tool_calls[0].type`',
    { messages: [{ role: 'assistant', tool_calls: [{ type: 'custom' }] }] },
  ],
  ['`tools[0].type`', { messages: [ask], tools: [{ type: 'custom', custom: { name: 'x' } }] }],
  ['`tools[0].function.name` is missing', { messages: [ask], tools: [{ type: 'function' }] }],
  [
    '`tools[0].function.wild` is a field',
    { messages: [ask], tools: [{ type: 'function', function: { name: 'f', wild: 1 } }] },
  ],
  ['`tool_choice` is none', { messages: [ask], tools: [tool], tool_choice: { type: 'allowed_tools' } }],
  ['`tool_choice` asks for a tool', { messages: [ask], tool_choice: 'required' }],
  ['`response_format` is none', { messages: [ask], response_format: { type: 'grammar' } }],
  ['`reasoning_effort` is none', { messages: [ask], reasoning_effort: 'huge' }],
  ['`temperature` is not a number', { messages: [ask], temperature: '1' }],
  ['`stop` is neither', { messages: [ask], stop: [1] }],
])('%s: told of a body that cannot be read', (sentence, body) => {
  expect(readChatRequest(body)).toEqual(expect.stringContaining(sentence));
});

/** A body with one part of content. */
function bodyOf(part: JsonObject): JsonObject {
  return { messages: [{ role: 'user', content: [part] }] };
}
