import type { ModelFacts, ProviderConfig } from '../config/config.js';
import { PROVIDER_PRESETS } from '../config/provider-presets.js';
import type { Usage } from '../routing/call-result.js';
import { Catalogue, priceByFacts } from './catalogue.js';

function usage(inputTokens: number, outputTokens: number, cachedInputTokens = 0): Usage {
  const totalTokens = inputTokens + outputTokens;
  return {
    inputTokens,
    outputTokens,
    totalTokens,
    cachedInputTokens,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  };
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
});
