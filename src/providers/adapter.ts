/** What a wire format must be able to do, and what a call is. All adapters are pure and use the same verbs. */
import { MODEL_ENDPOINTS, type ProviderConfig, type ProviderKey } from '../config/config.js';
import type { Usage } from '../routing/call-result.js';
import type { FailureClass } from '../routing/failure.js';

/** The endpoints of OpenAI's API that a job may be for. */
export const ENDPOINTS = MODEL_ENDPOINTS;
export type Endpoint = (typeof ENDPOINTS)[number];

/** One call of one model. */
export interface CallRequest {
  /** `provider/model`. The provider's name ends at the first `/`; the rest is the model's name there. */
  readonly model: string;
  readonly endpoint: Endpoint;
  /** The caller's request with a step's overrides applied. All of it is passed on, but for `model`. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Which of the provider's keys to use; null for a provider without keys. */
  readonly keyId: string | null;
  /** A hard wall for the whole call. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Sent along as `x-request-id` and `x-baton-attempt-id`, so that a provider's log can be matched with the record of attempts. */
  readonly attemptId: string;
  /** Which attempt of its job this is, from 0; only `sim` looks at it. */
  readonly attemptIndex: number;
}

/** What goes over the wire; always a POST of JSON. */
export interface WireRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What came back; header names in lower case. */
export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

interface Read {
  readonly usage: Usage | null;
  /** The price of the call in US dollars, if the provider itself states it. */
  readonly statedCostUsd: number | null;
}

/** A reply that is a good answer: `body` is OpenAI's JSON, as it came or as it was translated. */
export interface GoodReading extends Read {
  readonly ok: true;
  readonly body: string;
}

/** A reply that is a failure. */
export interface FailedReading extends Read {
  readonly ok: false;
  readonly class: FailureClass;
  /** What the provider did, to stand after its name: `answered 429: Rate limit reached`. Neither bounded nor masked yet. */
  readonly message: string;
  readonly retryAfterMs: number | null;
  /** The reply as text, for people to read. Neither bounded nor masked yet. */
  readonly body: string | null;
}

export type Reading = GoodReading | FailedReading;

/** One wire format. Pure: no network, no clock, no configuration but what is handed in. */
export interface Adapter {
  /** Why this format can't carry the caller's request without losing something of it, as a sentence; null if it can. */
  whyNot(endpoint: Endpoint, body: CallRequest['body']): string | null;
  /** The call as this format writes it. */
  toWire(request: CallRequest, provider: ProviderConfig, key: ProviderKey | null): WireRequest;
  /**
   * What a reply of any status means; `nowMs` (Unix time) is what dates in it are held against. The caller's request tells in
   * what form it wants the answer.
   */
  fromWire(reply: WireReply, endpoint: Endpoint, nowMs: number, asked?: CallRequest['body']): Reading;
  /** What a reply that refuses or reports an error means. */
  toFailure(reply: WireReply, nowMs: number): FailedReading;
  /** The tokens that a parsed reply says it cost; null if it does not say. */
  toUsage(body: unknown): Usage | null;
}

/** Splits `provider/model` at the first `/`; null if there is none, or nothing on one side of it. */
export function splitModel(model: string): { provider: string; name: string } | null {
  const slash = model.indexOf('/');
  if (slash <= 0 || slash === model.length - 1) return null;
  return { provider: model.slice(0, slash), name: model.slice(slash + 1) };
}

/** A model of a provider that is switched on. */
export interface KnownModel {
  readonly provider: ProviderConfig;
  /** As the provider names it. */
  readonly name: string;
}

/** Null for what is no model of a provider that is switched on. */
export function findModel(providers: ReadonlyMap<string, ProviderConfig>, model: string): KnownModel | null {
  const split = splitModel(model);
  const provider = split === null ? undefined : providers.get(split.provider);
  return split === null || provider === undefined ? null : { provider, name: split.name };
}
