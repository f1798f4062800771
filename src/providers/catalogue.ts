/**
 * What is known of models, and what a call costs: by what the operator says of the model, else by the provider's own
 * statement, else by the published price list.
 */
import { calcPrice, findProvider, type ModelPrice } from '@pydantic/genai-prices';
import type { ModelFacts, ProviderConfig } from '../config/config.js';
import { PROVIDER_PRESETS } from '../config/provider-presets.js';
import type { Usage } from '../routing/call-result.js';
import { BoundedCache } from './bounded-cache.js';
import { wellKnownFacts } from './model-facts.js';

type PriceList = NonNullable<ReturnType<typeof findProvider>>;

/** What a million tokens cost in US dollars; null where it is not known. */
export interface TokenPrices {
  readonly inputUsdPerMtok: number | null;
  readonly outputUsdPerMtok: number | null;
  readonly cachedInputUsdPerMtok: number | null;
  readonly cacheWriteUsdPerMtok: number | null;
}

/** A model's facts, and the price list that has it; null if none has. */
interface Entry {
  readonly facts: ModelFacts;
  readonly prices: PriceList | null;
}

/** More than all price lists have together: the list of all models must not drive out what attempts ask for. */
const MOST_ENTRIES = 4_000;

/** Knows models. What it has found out of one is kept, because it is asked for every attempt and finding it is slow. */
export class Catalogue {
  private readonly priceLists = new Map<string, PriceList | null>();
  private readonly entries = new BoundedCache<Entry>(MOST_ENTRIES);

  constructor(private readonly models: ReadonlyMap<string, ModelFacts>) {}

  /**
   * Everything that is known of a model: each fact from the operator, else from our own table, else from the price list.
   * @param name the model's name at the provider
   */
  factsOf(provider: ProviderConfig, name: string): ModelFacts {
    return this.entryOf(provider, name).facts;
  }

  /**
   * The price of a call in millionths of a US dollar, rounded once; null if it is not known, which is not the same as 0.
   * @param name the model's name at the provider
   */
  costMicros(
    provider: ProviderConfig,
    name: string,
    usage: Usage | null,
    statedUsd: number | null,
  ): number | null {
    if (provider.kind === 'sim') return 0;
    const { facts, prices } = this.entryOf(provider, name);
    const byFacts = usage === null ? null : priceByFacts(facts, usage);
    if (byFacts !== null) return byFacts;
    if (statedUsd !== null) return toMicros(statedUsd);
    return usage === null || prices === null ? null : priceByList(prices, name, usage);
  }

  /**
   * The names of models at the provider that are known without asking it: what the operator says something of, the price
   * list's own, and the example of a known provider. A name stands in it once, in no order.
   */
  namesOf(provider: ProviderConfig): string[] {
    const prefix = `${provider.name}/`;
    const said = [...this.models.keys()].filter((model) => model.startsWith(prefix));
    const preset = Object.values(PROVIDER_PRESETS).find(({ baseUrl }) => baseUrl === provider.baseUrl);
    const list = this.priceListOf(provider.baseUrl);
    const listed = (list?.models ?? []).filter(
      (model) => !model.deprecated && !isElsewhere(provider, model.id) && this.isListed(provider, model.id),
    );
    return [
      ...new Set([
        ...said.map((model) => model.slice(prefix.length)),
        ...(preset === undefined ? [] : [preset.exampleModel]),
        ...listed.map(({ id }) => id),
      ]),
    ];
  }

  /** What a model's tokens cost; where that grows with the length of the request, for a short one. */
  pricesOf(provider: ProviderConfig, name: string): TokenPrices {
    if (provider.kind === 'sim') return FREE;
    const { facts, prices: list } = this.entryOf(provider, name);
    if (facts.inputUsdPerMtok !== undefined || facts.outputUsdPerMtok !== undefined) {
      const input = facts.inputUsdPerMtok ?? null;
      return {
        inputUsdPerMtok: input,
        outputUsdPerMtok: facts.outputUsdPerMtok ?? null,
        cachedInputUsdPerMtok: facts.cachedInputUsdPerMtok ?? input,
        cacheWriteUsdPerMtok: facts.cacheWriteUsdPerMtok ?? input,
      };
    }
    const prices = list === null ? undefined : calcPrice({}, name, { provider: list })?.model_price;
    if (prices === undefined) return UNKNOWN;
    if (Object.keys(prices).length === 0) return FREE;
    const input = usdPerMtok(prices['input_mtok']);
    return {
      inputUsdPerMtok: input,
      outputUsdPerMtok: usdPerMtok(prices['output_mtok']),
      cachedInputUsdPerMtok: usdPerMtok(prices['cache_read_mtok']) ?? input,
      cacheWriteUsdPerMtok: usdPerMtok(prices['cache_write_mtok']) ?? input,
    };
  }

  /** Some of the list's names are a family's, or the beginning of names: nobody answers to those. */
  private isListed(provider: ProviderConfig, id: string): boolean {
    return !id.endsWith('-') && this.entryOf(provider, id).prices?.models[0]?.id === id;
  }

  private entryOf(provider: ProviderConfig, name: string): Entry {
    return this.entries.get(`${provider.name}/${name}`, () => {
      const list = this.priceListOf(provider.baseUrl);
      const listed = list === null ? null : calcPrice({}, name, { provider: list });
      const isTrusted = !FITS_BY_ITSELF.some((host) => provider.baseUrl.startsWith(host));
      return {
        facts: {
          ...(isTrusted && listed?.model.context_window !== undefined
            ? { contextWindow: listed.model.context_window }
            : {}),
          ...wellKnownFacts(provider.baseUrl, name),
          ...this.models.get(`${provider.name}/${name}`),
        },
        // A list of this one model is searched at once.
        prices: listed === null ? null : { ...listed.provider, models: [listed.model] },
      };
    });
  }

  private priceListOf(baseUrl: string): PriceList | null {
    let list = this.priceLists.get(baseUrl);
    if (list === undefined) {
      const other = LISTED_ELSEWHERE.find(([host]) => baseUrl.startsWith(host));
      list =
        findProvider(other === undefined ? { providerApiUrl: baseUrl } : { providerId: other[1] }) ?? null;
      this.priceLists.set(baseUrl, list);
    }
    return list;
  }
}

/** Providers that the price list has only behind Hugging Face's router, which passes their prices on as they are. */
const LISTED_ELSEWHERE: readonly (readonly [string, string])[] = [
  ['https://api.tokenfactory.nebius.com/', 'huggingface_nebius'],
  ['https://api.sambanova.ai/', 'huggingface_sambanova'],
];

/** Providers that shorten the answer to what the window has room for, so that asking for too much is no reason not to call. */
const FITS_BY_ITSELF = ['https://api.fireworks.ai/'];

const FREE: TokenPrices = {
  inputUsdPerMtok: 0,
  outputUsdPerMtok: 0,
  cachedInputUsdPerMtok: 0,
  cacheWriteUsdPerMtok: 0,
};
const UNKNOWN: TokenPrices = {
  inputUsdPerMtok: null,
  outputUsdPerMtok: null,
  cachedInputUsdPerMtok: null,
  cacheWriteUsdPerMtok: null,
};

function usdPerMtok(price: ModelPrice[string]): number | null {
  if (price === undefined) return null;
  return typeof price === 'number' ? price : price.base;
}

/** Models that have none of our endpoints, and those that Google serves at another door than the one we call. */
const NO_DOOR = /(^|[/-])(whisper|tts|transcribe|realtime|live|moderation)(-|$)|^gpt-image-/;

function isElsewhere({ kind }: ProviderConfig, name: string): boolean {
  return NO_DOOR.test(name) || (kind === 'gemini' && name.startsWith('claude-'));
}

/**
 * The price in millionths of a US dollar of tokens at the operator's prices; null if a price that is needed is not known. Input
 * that was cached, or written to the cache, costs as much as other input unless its own price is given; reasoning is output.
 * The sum is exact and rounded once, at the end.
 */
export function priceByFacts(facts: ModelFacts, usage: Usage): number | null {
  const { inputUsdPerMtok: input, outputUsdPerMtok: output } = facts;
  if (input === undefined && output === undefined) return null;
  const parts: readonly (readonly [number, number | undefined])[] = [
    [usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens, input],
    [usage.cachedInputTokens, facts.cachedInputUsdPerMtok ?? input],
    [usage.cacheWriteTokens, facts.cacheWriteUsdPerMtok ?? input],
    [usage.outputTokens, output],
  ];
  let sum = 0n;
  for (const [tokens, usdPerMtok] of parts) {
    if (tokens === 0) continue;
    if (usdPerMtok === undefined) return null;
    // Dollars per million tokens are millionths of a dollar per token; nine more digits are kept of them.
    sum += BigInt(tokens) * BigInt(Math.round(usdPerMtok * 1e9));
  }
  return Number((sum + 500_000_000n) / 1_000_000_000n);
}

function priceByList(list: PriceList, name: string, usage: Usage): number | null {
  if (usage.isOffList) return null;
  const tokens = {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cachedInputTokens,
    cache_write_tokens: usage.cacheWriteTokens,
    output_reasoning_tokens: usage.reasoningTokens,
    ...audioTokens(usage),
  };
  const price = calcPrice(tokens, name, { provider: list });
  if (price === null) return null;
  const { model_price: prices } = price;
  // A model that is free has no prices at all; one with other prices than for tokens would seem free.
  const isPaid = Object.keys(prices).length > 0;
  if (isPaid && usage.inputTokens > 0 && prices.input_mtok === undefined) return null;
  if (isPaid && usage.outputTokens > 0 && prices.output_mtok === undefined) return null;
  return toMicros(price.total_price);
}

/** The sound in a usage, such that no part is larger than its whole: the list refuses to price what contradicts itself. */
function audioTokens({ audio, inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens }: Usage) {
  if (audio === undefined) return {};
  const input = Math.min(audio.inputTokens, inputTokens - cacheWriteTokens);
  // So much of it must have come from the cache, as there is no other room for it.
  const least = Math.max(0, cachedInputTokens + cacheWriteTokens + input - inputTokens);
  return {
    input_audio_tokens: input,
    cache_audio_read_tokens: Math.max(least, Math.min(audio.cachedInputTokens, cachedInputTokens, input)),
    cache_audio_write_tokens: 0,
    output_audio_tokens: Math.min(audio.outputTokens, outputTokens),
  };
}

/**
 * Dollars as whole millionths. Prices of tokens are whole millionths of a millionth, to which what the binary numbers are off
 * by is cleared away first: else half a millionth would be rounded up or down by chance.
 */
function toMicros(usd: number): number {
  return Math.round(Math.round(usd * 1e12) / 1e6);
}
