import fc from 'fast-check';
import type { ModelFacts, ProviderConfig } from '../config/config.js';
import { PROVIDER_PRESETS } from '../config/provider-presets.js';
import type { Usage } from '../routing/call-result.js';
import { Catalogue, priceByFacts } from './catalogue.js';

function usage(
  inputTokens: number,
  outputTokens: number,
  cachedInputTokens = 0,
  cacheWriteTokens = 0,
  reasoningTokens = 0,
): Usage {
  const totalTokens = inputTokens + outputTokens;
  return { inputTokens, outputTokens, totalTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens };
}

function provider(name: string, baseUrl = PROVIDER_PRESETS[name]?.baseUrl ?? ''): ProviderConfig {
  return { name, kind: name === 'sim' ? 'sim' : 'openai', baseUrl, apiKeys: [], protect: true };
}

describe('priceByFacts', () => {
  test.each([
    ['both prices', { inputUsdPerMtok: 2, outputUsdPerMtok: 6 }, usage(1000, 500), 5000],
    [
      'cached input at its own price',
      { inputUsdPerMtok: 2, outputUsdPerMtok: 6, cachedInputUsdPerMtok: 0.5 },
      usage(1000, 0, 400),
      1400,
    ],
    ['cached input without one', { inputUsdPerMtok: 2, outputUsdPerMtok: 6 }, usage(1000, 0, 400), 2000],
    [
      'what is written to the cache at its own price',
      { inputUsdPerMtok: 2, cachedInputUsdPerMtok: 0.5, cacheWriteUsdPerMtok: 2.5 },
      usage(1000, 0, 400, 100),
      1450,
    ],
    ['what is written to the cache without one', { inputUsdPerMtok: 2 }, usage(1000, 0, 0, 100), 2000],
    ['reasoning as output', { inputUsdPerMtok: 0, outputUsdPerMtok: 6 }, usage(10, 100, 0, 0, 90), 600],
    ['half a millionth, up', { inputUsdPerMtok: 1.005 }, usage(100, 0), 101],
    ['less than half a millionth, down', { inputUsdPerMtok: 0.07 }, usage(7, 0), 0],
    ['parts that are rounded together', { inputUsdPerMtok: 0.3, outputUsdPerMtok: 0.3 }, usage(1, 1), 1],
    ['very many tokens', { inputUsdPerMtok: 150.0005 }, usage(1_000_000_001, 0), 150_000_500_150],
    ['a fraction of a millionth', { inputUsdPerMtok: 0.02 }, usage(30, 0), 1],
    ['a price of nothing', { inputUsdPerMtok: 0, outputUsdPerMtok: 0 }, usage(1000, 500), 0],
    ['embeddings, without an output price', { inputUsdPerMtok: 0.1 }, usage(1000, 0), 100],
    ['output without its price', { inputUsdPerMtok: 0.1 }, usage(1000, 1), null],
    ['input without its price', { outputUsdPerMtok: 1 }, usage(1, 1), null],
    ['no prices', { contextWindow: 1000 }, usage(1000, 1), null],
  ] satisfies [string, ModelFacts, ReturnType<typeof usage>, number | null][])(
    'with %s',
    (_name, facts, used, expected) => {
      expect(priceByFacts(facts, used)).toBe(expected);
    },
  );
});

describe('the catalogue', () => {
  const catalogue = new Catalogue(
    new Map([
      ['openai/gpt-4o-mini', { inputUsdPerMtok: 1, outputUsdPerMtok: 1 }],
      ['openai/gpt-4o', { contextWindow: 128_000 }],
    ]),
  );

  test.each([
    ['the operator goes first', 'openai', 'gpt-4o-mini', usage(1000, 0), 9, 1000],
    ['the provider goes before the list', 'openai', 'gpt-4o', usage(1000, 0), 0.5, 500_000],
    ['facts without prices leave it to the list', 'openai', 'gpt-4o', usage(1000, 0), null, 2500],
    ['the list knows what is cached', 'openai', 'gpt-4o', usage(1000, 0, 1000), null, 1250],
    ["the list knows Anthropic's cache", 'anthropic', 'claude-haiku-4-5', usage(1000, 0, 400), null, 640],
    [
      'the list knows what is written to the cache',
      'anthropic',
      'claude-haiku-4-5',
      usage(1000, 0, 0, 400),
      null,
      1100,
    ],
    [
      'the list may have a price for reasoning',
      'perplexity',
      'sonar-deep-research',
      usage(0, 1000, 0, 0, 900),
      null,
      3500,
    ],
    [
      'the list has it as output where it has none',
      'openai',
      'gpt-4o',
      usage(0, 1000, 0, 0, 900),
      null,
      10_000,
    ],
    [
      'the list has other prices for sound',
      'gemini',
      'gemini-2.5-flash',
      { ...usage(1000, 10), audio: { inputTokens: 900, cachedInputTokens: 0, outputTokens: 0 } },
      null,
      955,
    ],
    [
      'sound from the cache has its own',
      'gemini',
      'gemini-2.5-flash',
      { ...usage(1000, 10, 500), audio: { inputTokens: 900, cachedInputTokens: 450, outputTokens: 0 } },
      null,
      537,
    ],
    [
      'an answer that is spoken has its own',
      'openai',
      'gpt-audio',
      { ...usage(1000, 100), audio: { inputTokens: 900, cachedInputTokens: 0, outputTokens: 90 } },
      null,
      34_910,
    ],
    [
      'another class of service has prices that the list lacks',
      'openai',
      'gpt-4o',
      { ...usage(1000, 10), isOffList: true },
      null,
      null,
    ],
    ['what is paid by the page is not free', 'mistral', 'mistral-ocr-2505', usage(1000, 10), null, null],
    ['what the provider says is kept to the millionth', 'openai', 'gpt-4o', null, 0.0000015, 2],
    [
      'another server of the same provider is found by its address',
      'mine',
      'gpt-4o',
      usage(1000, 0),
      null,
      2500,
    ],
    [
      'Nebius is listed under another name',
      'nebius',
      'meta-llama/Llama-3.3-70B-Instruct',
      usage(1_000_000, 0),
      null,
      250_000,
    ],
    ['a model that nobody knows has no price', 'openai', 'no-such-model', usage(1000, 0), null, null],
    ['a local server has none', 'local', 'gpt-4o', usage(1000, 0), null, null],
    ['without usage there is none', 'openai', 'gpt-4o', null, null, null],
    ['the simulation is free', 'sim', 'echo', usage(1000, 1000), null, 0],
  ])('%s', (_name, name, model, used, stated, expected) => {
    const urls: Record<string, string> = {
      mine: 'https://api.openai.com/v1',
      local: 'http://127.0.0.1:8000/v1',
    };
    expect(catalogue.costMicros(provider(name, urls[name]), model, used, stated)).toBe(expected);
  });

  test('has a price for the example model of the big providers', () => {
    const priced = [
      'openai',
      'anthropic',
      'gemini',
      'deepseek',
      'groq',
      'mistral',
      'together',
      'fireworks',
      'openrouter',
      'xai',
      'cerebras',
    ];
    for (const name of priced) {
      const model = PROVIDER_PRESETS[name]?.exampleModel ?? '';
      expect([
        name,
        new Catalogue(new Map()).costMicros(provider(name), model, usage(1_000_000, 0), null),
      ]).toEqual([name, expect.any(Number)]);
    }
  });

  test.each([
    ['openai', 'gpt-4o', { contextWindow: 64_000, maxOutputTokens: 16_384 }, 'the operator before our table'],
    ['openai', 'gpt-5.2', { contextWindow: 400_000 }, 'the list where our table has nothing'],
    [
      'openai',
      'gpt-4.1-mini',
      { contextWindow: 1_047_576, maxOutputTokens: 32_768 },
      'our table before the list',
    ],
    ['openai', 'gpt-3.5-turbo', { modalities: ['text'], jsonSchema: false }, 'what it lacks'],
    [
      'openai',
      'text-embedding-3-small',
      { endpoints: ['/v1/embeddings'], contextWindow: 8_192 },
      'two rules',
    ],
    ['openai', 'gpt-9', { endpoints: ['/v1/chat/completions', '/v1/responses'] }, 'a name of a family'],
    ['gemini', 'gemini-2.5-flash', { contextWindow: 1_114_112, maxOutputTokens: 65_536 }, 'input and answer'],
    [
      'gemini',
      'gemini-embedding-001',
      { endpoints: ['/v1/embeddings'] },
      'an embedding model of any provider',
    ],
    ['deepseek', 'deepseek-chat', { contextWindow: 1_000_000 }, 'not the window of an older model'],
    ['groq', 'openai/gpt-oss-20b', { contextWindow: 131_072, modalities: ['text'] }, 'an open model'],
    [
      'fireworks',
      'accounts/fireworks/models/gpt-oss-120b',
      { contextWindow: 131_072 },
      'an open model with a path',
    ],
    ['nebius', 'BAAI/bge-m3', { endpoints: ['/v1/embeddings'] }, 'an open embedding model'],
  ])('of %s/%s knows %j: %s', (name, model, expected, _why) => {
    const facts = new Catalogue(new Map([['openai/gpt-4o', { contextWindow: 64_000 }]]));
    expect(facts.factsOf(provider(name), model)).toMatchObject(expected);
  });

  test.each([
    ['openai', 'no-such-model'],
    ['local', 'llama3'],
    ['local', 'gpt-4o'],
    ['sim', 'echo'],
    ['dashscope', 'qwen-turbo'],
    ['nvidia', 'nvidia/some-reranker'],
    ['local', 'meta-llama/Llama-3.2-11B-Vision-Instruct'],
    ['local', 'nvidia/Llama-3.1-8B-UltraLong-4M-Instruct'],
  ])('of %s/%s knows nothing, so that it is tried', (name, model) => {
    const baseUrl = name === 'local' ? 'http://127.0.0.1:8000/v1' : undefined;
    expect(catalogue.factsOf(provider(name, baseUrl), model)).toEqual({});
  });

  test('holds no example model unable to chat', () => {
    for (const [name, { exampleModel }] of Object.entries(PROVIDER_PRESETS)) {
      const { endpoints = ['/v1/chat/completions'] } = catalogue.factsOf(provider(name), exampleModel);
      expect([name, endpoints]).toEqual([name, expect.arrayContaining(['/v1/chat/completions'])]);
    }
  });

  test('prices any count of sound, however it contradicts the rest', () => {
    const count = fc.nat(1000);
    fc.assert(
      fc.property(count, count, count, count, count, count, count, (...counts) => {
        const [input, output, cached, written, spoken, cachedSpoken, said] = counts;
        const [inCache, toCache] = [Math.min(cached, input), Math.min(written, Math.max(0, input - cached))];
        const audio = { inputTokens: spoken, cachedInputTokens: cachedSpoken, outputTokens: said };
        const used = { ...usage(input, output, inCache, toCache, Math.min(said, output)), audio };
        for (const model of ['gemini-2.5-flash', 'gemini-2.5-pro'])
          expect(catalogue.costMicros(provider('gemini'), model, used, null)).toEqual(expect.any(Number));
      }),
    );
  });

  test('gives the same answer to the same question', () => {
    const openai = provider('openai');
    expect(catalogue.factsOf(openai, 'gpt-4.1')).toBe(catalogue.factsOf(openai, 'gpt-4.1'));
    const [first, second] = [1, 2].map(() => catalogue.costMicros(openai, 'gpt-4.1', usage(1000, 10), null));
    expect(first).toBe(2080);
    expect(second).toBe(first);
  });
});
