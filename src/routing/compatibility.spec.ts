import { type ModelAbilities, needsOf, whyIncompatible, type WindowToExceed } from './compatibility.js';

const CHAT = '/v1/chat/completions';
const part = (type: string) => ({ messages: [{ role: 'user', content: [{ type }] }] });
/** As a list of tokens, whose number is known. */
const prompt = (tokens: number) => ({ prompt: Array.from({ length: tokens }, () => 1) });
const schema = { type: 'json_schema', name: 'x', schema: {} };
const WINDOW: WindowToExceed = { model: 'a/small', tokens: 8_192 };

describe('a model can take a request', () => {
  test.each([
    ['of which nothing is known', {}, { ...part('image_url'), tools: [{}], max_tokens: 1e9 }, CHAT, null],
    [
      'that fills its window',
      { contextWindow: 100 },
      { ...prompt(60), max_tokens: 40 },
      '/v1/completions',
      null,
    ],
    ['whose answer is as long as it gives', { maxOutputTokens: 40 }, { max_tokens: 40 }, CHAT, null],
    ['without tools, though it has none', { tools: false, jsonSchema: false }, { tools: [] }, CHAT, null],
    [
      'for a JSON object, though it has no schemas',
      { jsonSchema: false },
      { response_format: { type: 'json_object' } },
      CHAT,
      null,
    ],
    ['with a picture', { modalities: ['text', 'image'] }, part('image_url'), CHAT, null],
    ['at its endpoint', { endpoints: [CHAT] }, {}, CHAT, null],
    ['that was too long for a smaller one', { contextWindow: 8_193 }, {}, CHAT, WINDOW],
    ['that was too long for another, if its window is not known', {}, {}, CHAT, WINDOW],
    [
      'that may be cut',
      { contextWindow: 100 },
      { input: 'word '.repeat(9_000), truncation: 'auto' },
      '/v1/responses',
      null,
    ],
    [
      'of many texts to embed that each fit',
      { contextWindow: 100 },
      { input: Array.from({ length: 90 }, () => 'hello') },
      '/v1/embeddings',
      null,
    ],
    [
      'of which only the likely number of tokens does not fit',
      { contextWindow: 90 },
      { prompt: 'hello '.repeat(120) },
      '/v1/completions',
      null,
    ],
    ['whose pictures might not fit', { contextWindow: 100 }, part('image_url'), CHAT, null],
  ] satisfies [string, ModelAbilities, object, string, WindowToExceed | null][])(
    '%s',
    (_, facts, body, endpoint, window) => {
      expect(whyIncompatible(facts, needsOf(body, endpoint), window)).toBeNull();
    },
  );
});

describe("a model can't take a request", () => {
  test.each([
    [
      { contextWindow: 8_192 },
      { ...prompt(8_000), max_tokens: 1_000 },
      '/v1/completions',
      null,
      'its context window of 8,192 tokens is too small for a request of at least 8,000 tokens and 1,000 for the answer',
    ],
    [
      { contextWindow: 100 },
      prompt(101),
      '/v1/completions',
      null,
      'its context window of 100 tokens is too small for a request of at least 101 tokens',
    ],
    [
      { contextWindow: 100 },
      { input: ['a', [1, 2], Array.from({ length: 200 }, () => 1)] },
      '/v1/embeddings',
      null,
      'its context window of 100 tokens is too small for a request of at least 200 tokens',
    ],
    [
      { contextWindow: 8_192 },
      {},
      CHAT,
      WINDOW,
      'its context window of 8,192 tokens is not larger than that of a/small, which found the request too long',
    ],
    [
      { maxOutputTokens: 4_096 },
      { max_completion_tokens: 16_384 },
      CHAT,
      null,
      'its answers have at most 4,096 tokens, and 16,384 are asked for',
    ],
    [{ modalities: ['text'] }, part('image_url'), CHAT, null, 'it does not take images'],
    [{ modalities: ['text', 'image'] }, part('input_audio'), CHAT, null, 'it does not take audio'],
    [{ modalities: ['text', 'image'] }, part('file'), CHAT, null, 'it does not take files'],
    [
      { modalities: ['text'] },
      { input: [{ content: [{ type: 'input_file' }] }] },
      '/v1/responses',
      null,
      'it does not take files',
    ],
    [{ tools: false }, { tools: [{ type: 'function' }] }, CHAT, null, 'it does not take tools'],
    [{ tools: false }, { functions: [{ name: 'x' }] }, CHAT, null, 'it does not take tools'],
    [{ jsonSchema: false }, { response_format: schema }, CHAT, null, 'it does not answer by a JSON schema'],
    [
      { jsonSchema: false },
      { text: { format: schema } },
      '/v1/responses',
      null,
      'it does not answer by a JSON schema',
    ],
    [
      { endpoints: ['/v1/embeddings'] },
      {},
      CHAT,
      null,
      'it does not serve /v1/chat/completions, only /v1/embeddings',
    ],
  ] satisfies [ModelAbilities, object, string, WindowToExceed | null, string][])(
    '%j because of %j',
    (facts, body, endpoint, window, reason) => {
      expect(whyIncompatible(facts, needsOf(body, endpoint), window)).toBe(reason);
    },
  );
});
