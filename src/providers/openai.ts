/**
 * OpenAI's wire format, which most providers speak. A request is passed on whole, every field, known or not; a good answer is
 * kept byte for byte. Source of the shapes: OpenAI's API reference, and the error pages of the providers in `fixtures/`.
 */
import type { Usage } from '../routing/call-result.js';
import { splitModel, type Adapter, type FailedReading, type Reading, type WireReply } from './adapter.js';
import { findFlaw, type Flaw } from './answer-flaw.js';
import { classifyError, readError } from './classify-error.js';
import { at, isObject, parseJson } from './json.js';
import { readDuration, readRateLimitReset, readRetryAfter } from './retry-after.js';

export const openaiAdapter: Adapter = {
  whyNot() {
    return null; // The caller's body is this format.
  },

  toWire({ model, endpoint, body, attemptId }, provider, key) {
    return {
      url: provider.baseUrl + endpoint.slice('/v1'.length),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'baton',
        'x-request-id': attemptId,
        'x-baton-attempt-id': attemptId,
        ...(key === null ? {} : { authorization: `Bearer ${key.secret}` }),
      },
      body: JSON.stringify({ ...body, model: splitModel(model)?.name ?? model }),
    };
  },

  fromWire(reply, endpoint, nowMs): Reading {
    if (reply.status < 200 || reply.status > 299) return openaiAdapter.toFailure(reply, nowMs);
    const text = decode(reply);
    const body = text === null ? undefined : parseJson(text);
    if (text === null || !isObject(body)) return flawed(unreadable(reply), reply, null);
    if (isFilled(body.error) || isFilled(at(body, 'choices', 0, 'error')))
      return openaiAdapter.toFailure(reply, nowMs);
    const flaw = findFlaw(endpoint, body);
    if (flaw !== null) return flawed(flaw, reply, body);
    return { ok: true, body: text, usage: openaiAdapter.toUsage(body), statedCostUsd: toStatedCost(body) };
  },

  toFailure(reply, nowMs): FailedReading {
    const text = reply.body.toString();
    const body = parseJson(text);
    const facts = readError(body);
    const told = facts.message || statusText(reply, text);
    return {
      ok: false,
      class: classifyError(reply.status, facts),
      message: told === '' ? `answered ${reply.status}` : `answered ${reply.status}: ${told}`,
      retryAfterMs:
        readRetryAfter(reply.headers, nowMs) ??
        (readDuration(facts.retryDelay ?? undefined) || null) ??
        (reply.status === 429 || reply.status === 503 ? readRateLimitReset(reply.headers) : null),
      body: text === '' ? null : text,
      usage: openaiAdapter.toUsage(body),
      statedCostUsd: toStatedCost(body),
    };
  },

  toUsage(body): Usage | null {
    const usage = at(body, 'usage');
    // Chat and embeddings say prompt and completion, responses say input and output.
    const inputTokens = count(at(usage, 'prompt_tokens')) ?? count(at(usage, 'input_tokens'));
    const outputTokens = count(at(usage, 'completion_tokens')) ?? count(at(usage, 'output_tokens'));
    if (inputTokens === null && outputTokens === null) return null;
    const cached =
      count(at(usage, 'prompt_tokens_details', 'cached_tokens')) ??
      count(at(usage, 'input_tokens_details', 'cached_tokens')) ??
      count(at(usage, 'prompt_cache_hit_tokens')) ?? // DeepSeek
      0;
    const reasoning =
      count(at(usage, 'completion_tokens_details', 'reasoning_tokens')) ??
      count(at(usage, 'output_tokens_details', 'reasoning_tokens')) ??
      0;
    const known = { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 };
    return {
      ...known,
      totalTokens: count(at(usage, 'total_tokens')) ?? known.inputTokens + known.outputTokens,
      cachedInputTokens: Math.min(cached, known.inputTokens),
      cacheWriteTokens: 0, // No price of its own in this format.
      reasoningTokens: Math.min(reasoning, known.outputTokens),
    };
  },
};

/** More tokens than any call can have: a number beyond it is a mistake, and is taken for not said. */
const MAX_TOKENS = 1_000_000_000;

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS
    ? value
    : null;
}

/** What OpenRouter (`cost`) and DeepInfra (`estimated_cost`) say that the call cost, in US dollars. */
function toStatedCost(body: unknown): number | null {
  const stated = at(body, 'usage', 'cost') ?? at(body, 'usage', 'estimated_cost');
  return typeof stated === 'number' && stated >= 0 && stated < 1e6 ? stated : null;
}

function flawed(flaw: Flaw, reply: WireReply, body: unknown): FailedReading {
  return {
    ok: false,
    class: flaw.class,
    message: flaw.message,
    retryAfterMs: null,
    body: reply.body.length === 0 ? null : reply.body.toString(),
    usage: openaiAdapter.toUsage(body),
    statedCostUsd: toStatedCost(body),
  };
}

/** Why a 200 could not be read as a JSON object. */
function unreadable(reply: WireReply): Flaw {
  if (reply.body.length === 0) return { class: 'empty', message: 'answered with an empty body' };
  const encoding = reply.headers['content-encoding'];
  if (isCompressed(encoding))
    return { class: 'malformed', message: `answered in ${encoding}, which was not asked for` };
  const type = reply.headers['content-type'] ?? 'no content type';
  return { class: 'malformed', message: `answered with something that is not a JSON object (${type})` };
}

/** The body as text; null if it is compressed or not UTF-8. */
function decode(reply: WireReply): string | null {
  if (isCompressed(reply.headers['content-encoding'])) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(reply.body);
  } catch {
    return null;
  }
}

function isCompressed(encoding: string | undefined): boolean {
  return encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity';
}

/** What can be said of an error whose body has no message: where it points to, or a short plain text. */
function statusText(reply: WireReply, text: string): string {
  if (reply.status >= 300 && reply.status < 400) return 'it redirects, which is not followed';
  const isPage = /^\s*</.test(text);
  return isPage || isCompressed(reply.headers['content-encoding']) ? '' : text.trim().slice(0, 300);
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== false;
}
