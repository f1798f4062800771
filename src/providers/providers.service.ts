/**
 * Providers: one adapter per wire format behind one small contract, and what a call costs. It makes exactly one call and says
 * what came of it; it must never retry, wait or choose another model.
 */
import { Inject, Injectable } from '@nestjs/common';
import { APP_CONFIG, type AppConfig, type ModelFacts, type ProviderConfig } from '../config/config.js';
import type { EgressFailureKind } from '../egress/egress-error.js';
import { EgressService } from '../egress/egress.service.js';
import type { EgressFailure } from '../egress/exchange.js';
import { type CallResult, type Failure, NO_REPLY } from '../routing/call-result.js';
import type { FailureClass } from '../routing/failure.js';
import {
  ENDPOINTS,
  findModel,
  type KnownModel,
  type Adapter,
  type CallRequest,
  type Endpoint,
  type Reading,
  type WireReply,
  type WireRequest,
} from './adapter.js';
import { anthropicAdapter } from './anthropic.js';
import { Catalogue, type TokenPrices } from './catalogue.js';
import { geminiAdapter } from './gemini.js';
import { openaiAdapter } from './openai.js';
import { toBody, toMessage } from './plain-text.js';
import { SIM_MODELS, simulate } from './sim.js';
import { whyUnknown } from './why-unknown.js';

/** The largest answer that is taken. Embeddings of a full request are some 30 MB of JSON. */
export const MAX_RESPONSE_BYTES = 32 * 2 ** 20;

/** What can be said of a model to someone who chooses one. Absent facts, and null, are not known. */
export interface ModelDescription {
  readonly provider: string;
  readonly facts: ModelFacts;
  readonly prices: TokenPrices;
  /** Those of our endpoints that it serves; null if only the provider knows. */
  readonly endpoints: readonly Endpoint[] | null;
}

/** How long an answer is taken to be where the request sets no limit, to compare prices. */
const USUAL_OUTPUT_TOKENS = 1_000;

/** The wire format of each kind of provider; `sim` speaks OpenAI's, without a network between. */
const ADAPTERS: Readonly<Record<ProviderConfig['kind'], Adapter>> = {
  openai: openaiAdapter,
  anthropic: anthropicAdapter,
  gemini: geminiAdapter,
  sim: openaiAdapter,
};

@Injectable()
export class ProvidersService {
  private readonly catalogue: Catalogue;
  /** Found out when it is first asked for: the price lists are searched for each of their names. */
  private known: readonly string[] | null = null;

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly egress: EgressService,
  ) {
    this.catalogue = new Catalogue(config.models);
  }

  /**
   * Makes one call. Never throws for anything that a provider does: a failure is a value. A call that `signal` stopped comes
   * back as `connection_lost`, because whether it ran is not known either.
   */
  async call(request: CallRequest): Promise<CallResult> {
    const known = this.find(request.model);
    if (known === null) {
      const why = this.whyUnknown(request.model) ?? `\`${request.model}\` is not a model.`;
      return { ...NO_REPLY, class: 'model_not_found', message: toMessage(why, []), sent: false, keyId: null };
    }
    const { provider, name } = known;
    const adapter = ADAPTERS[provider.kind];
    const key = provider.apiKeys.find(({ id }) => id === request.keyId) ?? null;
    const keyId = key?.id ?? null;
    const reply = await this.exchange(provider, adapter.toWire(request, provider, key), request);
    if ('kind' in reply) return networkFailure(provider, keyId, reply);
    const reading = adapter.fromWire(reply, request.endpoint, Date.now(), request.body);
    return this.read(provider, name, keyId, reply, reading);
  }

  /** As {@link whyUnknown}, for the providers of this Baton. */
  whyUnknown(model: string): string | null {
    return whyUnknown(model, this.config.providers);
  }

  /** The ids of the keys that a call of this model may use; empty for a provider without keys, or an unknown model. */
  keyIdsOf(model: string): string[] {
    return this.find(model)?.provider.apiKeys.map(({ id }) => id) ?? [];
  }

  /** Why the provider's wire format can't carry the request, as a sentence; null if it can. */
  whyNot(model: string, endpoint: Endpoint, body: CallRequest['body']): string | null {
    const known = this.find(model);
    return known === null ? null : ADAPTERS[known.provider.kind].whyNot(endpoint, body);
  }

  /** Everything that is known of a model; empty for an unknown one. Cheap: what was found out is kept. */
  factsOf(model: string): ModelFacts {
    const known = this.find(model);
    return known === null ? {} : this.catalogue.factsOf(known.provider, known.name);
  }

  /**
   * Every model that is known by its name, of the providers that are switched on, in the order of names. More can be called:
   * see {@link whyUnknown}.
   */
  knownModels(): readonly string[] {
    return (this.known ??= this.findKnown());
  }

  /** What can be said of a model; null for an unknown one. */
  describe(model: string): ModelDescription | null {
    const known = this.find(model);
    if (known === null) return null;
    const { provider, name } = known;
    const facts = this.catalogue.factsOf(provider, name);
    return {
      provider: provider.name,
      facts,
      prices: this.catalogue.pricesOf(provider, name),
      endpoints: endpointsOf(provider, facts),
    };
  }

  /**
   * What a call of this size would cost, in millionths of a US dollar, as if nothing of it were cached; null if the model's
   * prices are not known. An answer of unknown length counts as {@link USUAL_OUTPUT_TOKENS}.
   */
  estimateCostMicros(model: string, tokens: { input: number; output: number | null }): number | null {
    const known = this.find(model);
    if (known === null) return null;
    const outputTokens = tokens.output ?? USUAL_OUTPUT_TOKENS;
    const usage = {
      inputTokens: tokens.input,
      outputTokens,
      totalTokens: tokens.input + outputTokens,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    };
    return this.catalogue.costMicros(known.provider, known.name, usage, null);
  }

  /** The providers that are switched on, with the ids of their keys. */
  list(): { name: string; kind: string; keyIds: string[] }[] {
    return [...this.config.providers.values()].map(({ name, kind, apiKeys }) => {
      return { name, kind, keyIds: apiKeys.map((key) => key.id) };
    });
  }

  private findKnown(): string[] {
    const models = [...this.config.providers.values()].flatMap((provider) => {
      const isSim = provider.kind === 'sim';
      const names = isSim ? Object.keys(SIM_MODELS) : this.catalogue.namesOf(provider);
      return names.map((name) => `${provider.name}/${name}`);
    });
    return models.filter((model) => this.whyUnknown(model) === null).sort();
  }

  private find(model: string): KnownModel | null {
    return findModel(this.config.providers, model);
  }

  private async exchange(
    provider: ProviderConfig,
    wire: WireRequest,
    request: CallRequest,
  ): Promise<WireReply | NoReply> {
    if (provider.kind === 'sim') return simulate(wire, request);
    const { url, headers, body } = wire;
    return this.egress.send({
      url,
      headers,
      body,
      policy: 'provider',
      method: 'POST',
      timeoutMs: request.timeoutMs,
      signal: request.signal,
      maxResponseBytes: MAX_RESPONSE_BYTES,
      whenTooLarge: 'fail',
    });
  }

  private read(
    provider: ProviderConfig,
    name: string,
    keyId: string | null,
    reply: WireReply,
    reading: Reading,
  ): CallResult {
    const secrets = provider.apiKeys.map((each) => each.secret);
    const called = {
      httpStatus: reply.status,
      upstreamRequestId: upstreamId(reply.headers, secrets),
      usage: reading.usage,
      costMicros: this.catalogue.costMicros(provider, name, reading.usage, reading.statedCostUsd),
      keyId,
    };
    if (reading.ok) return { ok: true, ...called, body: reading.body };
    return {
      ok: false,
      ...called,
      class: reading.class,
      message: toMessage(`${provider.name} ${reading.message}`, secrets),
      sent: true,
      retryAfterMs: reading.retryAfterMs,
      body: reading.body === null ? null : toBody(reading.body, secrets),
    };
  }
}

/** Those that both the wire format and the model have; null if nothing is known to be missing. */
function endpointsOf({ kind }: ProviderConfig, facts: ModelFacts): Endpoint[] | null {
  const carried = ENDPOINTS.filter((each) => ADAPTERS[kind].whyNot(each, SMALLEST[each]) === null);
  if (facts.endpoints === undefined && kind !== 'sim' && carried.length === ENDPOINTS.length) return null;
  return carried.filter((each) => facts.endpoints?.includes(each) ?? true);
}

/** A request of each endpoint that every format that has the endpoint can carry. */
const SMALLEST: Readonly<Record<Endpoint, CallRequest['body']>> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'Hi' }] },
  '/v1/completions': { prompt: 'Hi' },
  '/v1/embeddings': { input: 'Hi' },
  '/v1/responses': { input: 'Hi' },
};

/** An exchange that ended without a reply. */
type NoReply = Pick<EgressFailure, 'kind' | 'sent' | 'message'>;

/** What each failure of the network means for a call, and how it is told. */
const NETWORK_FAILURES: Readonly<Record<EgressFailureKind, readonly [FailureClass, string]>> = {
  dns: ['connect_failed', 'could not be found'],
  connect: ['connect_failed', 'could not be reached'],
  tls: ['connect_failed', 'could not be trusted'],
  refused_address: ['connect_failed', 'may not be called'],
  bad_url: ['connect_failed', 'cannot be called as it is configured'],
  timeout: ['timeout', 'did not answer in time'],
  reset: ['connection_lost', 'closed the connection before it answered'],
  incomplete: ['connection_lost', 'closed the connection in the middle of its answer'],
  aborted: ['connection_lost', 'was called off'],
  protocol: ['malformed', 'answered with something that is not HTTP'],
  too_large: ['malformed', 'answered with too much'],
};

function networkFailure(provider: ProviderConfig, keyId: string | null, failure: NoReply): Failure {
  // Time that ran out before a connection stood cost nothing, and is no time-out of the model.
  const kind = failure.kind === 'timeout' && !failure.sent ? 'connect' : failure.kind;
  const [told, words] = NETWORK_FAILURES[kind];
  const secrets = provider.apiKeys.map((key) => key.secret);
  return {
    ...NO_REPLY,
    // Once a byte may have left, not connecting is no longer the right word.
    class: told === 'connect_failed' && failure.sent ? 'connection_lost' : told,
    message: toMessage(`${provider.name} ${words}: ${failure.message}`, secrets),
    sent: failure.sent,
    keyId,
  };
}

/** The headers in which providers name a call: most, Anthropic, Azure, Mistral. */
const REQUEST_ID_HEADERS = ['x-request-id', 'request-id', 'apim-request-id', 'mistral-correlation-id'];

function upstreamId(headers: Readonly<Record<string, string>>, secrets: readonly string[]): string | null {
  const found = REQUEST_ID_HEADERS.map((name) => headers[name]).find((id) => id !== undefined && id !== '');
  return found === undefined ? null : toMessage(found, secrets).slice(0, 200);
}
