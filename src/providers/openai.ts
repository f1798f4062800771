/**
 * OpenAI's wire format, which most providers speak. A request is passed on whole, every field, known or not; a good answer is
 * kept byte for byte. Source of the shapes: OpenAI's API reference, and the error pages of the providers in `fixtures/`.
 */
import type { Usage } from '../routing/call-result.js';
import { splitModel, type Adapter, type FailedReading, type Reading, type WireReply } from './adapter.js';
import { findFlaw, type Flaw } from './answer-flaw.js';
import { classifyError, readError } from './classify-error.js';
import { at, parseJson } from './json.js';
import { readReply, tellRefusal, toTokenCount } from './read-reply.js';
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
    const read = readReply(reply);
    if ('class' in read) return flawed(read, reply, null);
    const { text, body } = read;
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
    return {
      ok: false,
      class: classifyError(reply.status, facts),
      message: tellRefusal(reply, facts.message),
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
    const inputTokens = toTokenCount(at(usage, 'prompt_tokens')) ?? toTokenCount(at(usage, 'input_tokens'));
    const outputTokens =
      toTokenCount(at(usage, 'completion_tokens')) ?? toTokenCount(at(usage, 'output_tokens'));
    if (inputTokens === null && outputTokens === null) return null;
    const cached =
      toTokenCount(at(usage, 'prompt_tokens_details', 'cached_tokens')) ??
      toTokenCount(at(usage, 'input_tokens_details', 'cached_tokens')) ??
      toTokenCount(at(usage, 'prompt_cache_hit_tokens')) ?? // DeepSeek
      0;
    const reasoning =
      toTokenCount(at(usage, 'completion_tokens_details', 'reasoning_tokens')) ??
      toTokenCount(at(usage, 'output_tokens_details', 'reasoning_tokens')) ??
      0;
    const known = { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 };
    return {
      ...known,
      totalTokens: toTokenCount(at(usage, 'total_tokens')) ?? known.inputTokens + known.outputTokens,
      cachedInputTokens: Math.min(cached, known.inputTokens),
      cacheWriteTokens: 0, // No price of its own in this format.
      reasoningTokens: Math.min(reasoning, known.outputTokens),
    };
  },
};

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

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== false;
}
