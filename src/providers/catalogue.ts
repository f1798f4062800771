/** What a call costs: by what the operator says of the model, else by the provider's own statement, else by the published price list. */
import { calcPrice, findProvider } from '@pydantic/genai-prices';
import type { ModelFacts, ProviderConfig } from '../config/config.js';
import type { Usage } from '../routing/call-result.js';

type PriceList = NonNullable<ReturnType<typeof findProvider>>;

/**
 * The price in millionths of a US dollar of tokens at the operator's prices; null if a price that is needed is not known. Cached
 * input costs as much as other input unless its own price is given.
 */
export function priceByFacts(facts: ModelFacts, usage: Usage): number | null {
  const { inputUsdPerMtok, outputUsdPerMtok, cachedInputUsdPerMtok = inputUsdPerMtok } = facts;
  const parts: readonly (readonly [number, number | undefined])[] = [
    [usage.inputTokens - usage.cachedInputTokens, inputUsdPerMtok],
    [usage.cachedInputTokens, cachedInputUsdPerMtok],
    [usage.outputTokens, outputUsdPerMtok],
  ];
  if (inputUsdPerMtok === undefined && outputUsdPerMtok === undefined) return null;
  let micros = 0;
  for (const [tokens, usdPerMtok] of parts) {
    if (tokens > 0 && usdPerMtok === undefined) return null;
    micros += tokens * (usdPerMtok ?? 0); // Dollars per million tokens are millionths of a dollar per token.
  }
  return Math.round(micros);
}

/** Prices calls. Holds which provider uses which price list, because finding that is slow. */
export class Catalogue {
  private readonly priceLists = new Map<string, PriceList | null>();

  constructor(private readonly models: ReadonlyMap<string, ModelFacts>) {}

  /**
   * The price of a call in millionths of a US dollar, rounded; null if it is not known, which is not the same as 0.
   * @param name the model's name at the provider
   */
  costMicros(
    provider: ProviderConfig,
    name: string,
    usage: Usage | null,
    statedUsd: number | null,
  ): number | null {
    if (provider.kind === 'sim') return 0;
    const facts = this.models.get(`${provider.name}/${name}`);
    const byFacts = facts === undefined || usage === null ? null : priceByFacts(facts, usage);
    if (byFacts !== null) return byFacts;
    if (statedUsd !== null) return Math.round(statedUsd * 1e6);
    return usage === null ? null : this.priceByList(provider, name, usage);
  }

  private priceByList(provider: ProviderConfig, name: string, usage: Usage): number | null {
    const list = this.priceListOf(provider.baseUrl);
    if (list === null) return null;
    const tokens = {
      input_tokens: usage.inputTokens,
      output_tokens: usage.outputTokens,
      cache_read_tokens: usage.cachedInputTokens,
    };
    const price = calcPrice(tokens, name, { provider: list });
    return price === null ? null : Math.round(price.total_price * 1e6);
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
