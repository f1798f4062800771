/**
 * What the well-known models of the known providers can't do: a small table by provider and name. Only what is sure stands in
 * it, because a model that is wrongly held to be unable is never tried; all else is found out by calling.
 */
import type { ModelFacts } from '../config/config.js';
import { PROVIDER_PRESETS } from '../config/provider-presets.js';
import type { Endpoint } from './adapter.js';

interface Rule {
  /** The providers whose own service this is about; absent for open models, which are the same wherever they run. */
  readonly providers?: readonly string[];
  /** Matched against the model's name at the provider. */
  readonly name: RegExp;
  readonly facts: ModelFacts;
}

const CHAT: readonly Endpoint[] = ['/v1/chat/completions', '/v1/responses'];
/** All but embeddings. */
const WRITES: readonly Endpoint[] = [...CHAT, '/v1/completions'];
const TEXT = { modalities: ['text'] } as const;
const SEES = { modalities: ['text', 'image', 'file'] } as const;

/** A model has the facts of every rule that it meets; of two that say the same fact, the first. */
const RULES: readonly Rule[] = [
  // Embeddings. Rerankers and the like are left alone.
  { name: /embed(?!ded)|(^|\/)(bge-(m3|small|base|large)|(multilingual-)?e5-|gte-|all-minilm)/i, facts: { endpoints: ['/v1/embeddings'] } },

  // OpenAI: https://platform.openai.com/docs/models
  { providers: ['openai'], name: /^text-embedding-(3-|ada-002)/, facts: { contextWindow: 8_192 } },
  { providers: ['openai'], name: /^(gpt-3\.5-turbo-instruct|davinci-002|babbage-002)/, facts: { endpoints: ['/v1/completions'], ...TEXT } },
  { providers: ['openai'], name: /^(ft:)?(gpt-|chatgpt-|o[134](-|$))/, facts: { endpoints: CHAT } },
  { providers: ['openai'], name: /^gpt-3\.5-turbo(-\d{4}|-16k)?$/, facts: { contextWindow: 16_385, maxOutputTokens: 4_096, jsonSchema: false, ...TEXT } },
  { providers: ['openai'], name: /^gpt-4(-0613)?$/, facts: { contextWindow: 8_192, maxOutputTokens: 8_192, jsonSchema: false, ...TEXT } },
  { providers: ['openai'], name: /^gpt-4-turbo(-2024-04-09)?$/, facts: { contextWindow: 128_000, maxOutputTokens: 4_096, jsonSchema: false, ...SEES } },
  { providers: ['openai'], name: /^gpt-4o-2024-05-13$/, facts: { maxOutputTokens: 4_096, jsonSchema: false } },
  { providers: ['openai'], name: /^chatgpt-4o-latest$/, facts: { contextWindow: 128_000, maxOutputTokens: 16_384, tools: false } },
  { providers: ['openai'], name: /^gpt-4o(-mini)?(-\d{4}-\d\d-\d\d)?$/, facts: { contextWindow: 128_000, maxOutputTokens: 16_384, ...SEES } },
  { providers: ['openai'], name: /^gpt-4\.1(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$/, facts: { contextWindow: 1_047_576, maxOutputTokens: 32_768, ...SEES } },
  { providers: ['openai'], name: /^gpt-5(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$/, facts: { contextWindow: 400_000, maxOutputTokens: 128_000, ...SEES } },
  { providers: ['openai'], name: /^o(1|3|4-mini)(-\d{4}-\d\d-\d\d)?$/, facts: { contextWindow: 200_000, maxOutputTokens: 100_000, ...SEES } },
  { providers: ['openai'], name: /^o3-mini/, facts: { contextWindow: 200_000, maxOutputTokens: 100_000, ...TEXT } },
  { providers: ['openai'], name: /^o1-mini/, facts: { contextWindow: 128_000, maxOutputTokens: 65_536, tools: false, jsonSchema: false, ...TEXT } },

  // Anthropic: https://docs.anthropic.com/en/docs/about-claude/models
  { providers: ['anthropic'], name: /^claude-/, facts: { endpoints: CHAT, ...SEES } },
  { providers: ['anthropic'], name: /^claude-3-(haiku|sonnet|opus)-/, facts: { contextWindow: 200_000, maxOutputTokens: 4_096 } },
  { providers: ['anthropic'], name: /^claude-3-5-(haiku|sonnet)-/, facts: { contextWindow: 200_000, maxOutputTokens: 8_192 } },
  { providers: ['anthropic'], name: /^claude-opus-4(-0|-1)?(-\d{8})?$/, facts: { contextWindow: 200_000, maxOutputTokens: 32_000 } },
  { providers: ['anthropic'], name: /^claude-(sonnet-4(-0)?|(haiku|opus)-4-5)(-\d{8})?$/, facts: { contextWindow: 200_000, maxOutputTokens: 64_000 } },

  // Gemini counts the answer apart: the window here is that of the input with the longest answer on top.
  // https://ai.google.dev/gemini-api/docs/models
  { providers: ['gemini'], name: /^gemini-2\.0-flash(-lite)?(-\d{3})?$/, facts: { contextWindow: 1_048_576 + 8_192, maxOutputTokens: 8_192 } },
  { providers: ['gemini'], name: /^gemini-2\.5-(pro|flash|flash-lite)$/, facts: { contextWindow: 1_048_576 + 65_536, maxOutputTokens: 65_536 } },
  { providers: ['gemini'], name: /^gemini-\d/, facts: { endpoints: CHAT } },

  // The price list's window is that of older models under the same names.
  { providers: ['deepseek'], name: /^deepseek-(chat|reasoner)$/, facts: { contextWindow: 1_000_000 } },

  // https://console.groq.com/docs/models
  { providers: ['groq'], name: /^llama-3\.1-8b-instant$/, facts: { contextWindow: 131_072, maxOutputTokens: 131_072, jsonSchema: false, ...TEXT } },
  { providers: ['groq'], name: /^llama-3\.3-70b-versatile$/, facts: { contextWindow: 131_072, maxOutputTokens: 32_768, jsonSchema: false, ...TEXT } },

  // https://docs.cohere.com/docs/models
  { providers: ['cohere'], name: /^command-r(7b|-plus)?-(08|12)-2024$/, facts: { contextWindow: 128_000, maxOutputTokens: 4_096, ...TEXT } },
  { providers: ['cohere'], name: /^command-a-03-2025$/, facts: { contextWindow: 256_000, maxOutputTokens: 8_192, ...TEXT } },

  // Services that do not embed with the models that write.
  { providers: ['deepseek', 'groq', 'cerebras', 'perplexity', 'xai', 'moonshot'], name: /^(deepseek|llama|gpt-oss|openai\/gpt-oss|sonar|grok|kimi|moonshot)/, facts: { endpoints: WRITES } },
  { providers: ['mistral', 'cohere'], name: /^(mistral-(large|medium|small)|ministral|magistral|devstral|pixtral|command)/, facts: { endpoints: WRITES } },

  // Open models, by their published weights; a server may give them less room than this.
  { name: /(^|\/)(meta-)?llama-3\.[13]-\d+b(-instruct)?(-turbo)?$/i, facts: { contextWindow: 131_072, ...TEXT } },
  { name: /(^|\/)(meta-)?llama-3-(8b|70b)-instruct$/i, facts: { contextWindow: 8_192, ...TEXT } },
  { name: /(^|\/)gpt-oss-(20b|120b)$/i, facts: { contextWindow: 131_072, ...TEXT } },
  { name: /(^|\/)deepseek-(r1(-0528)?|v3(-0324)?)$/i, facts: { contextWindow: 163_840, ...TEXT } },
]; // prettier-ignore

const PRESETS_BY_URL = new Map(
  Object.entries(PROVIDER_PRESETS).map(([name, { baseUrl }]) => [baseUrl, name]),
);

/** What the table says of a model of the provider at this address; empty if nothing. */
export function wellKnownFacts(baseUrl: string, name: string): ModelFacts {
  const provider = PRESETS_BY_URL.get(baseUrl);
  const met = RULES.filter(
    (rule) =>
      rule.name.test(name) &&
      (rule.providers === undefined || (provider !== undefined && rule.providers.includes(provider))),
  );
  return met.reduceRight<ModelFacts>((facts, rule) => ({ ...facts, ...rule.facts }), {});
}
