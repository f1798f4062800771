/**
 * OpenAI's wire format, which most providers speak. A request is passed on whole, every field, known or not; a good answer is
 * kept byte for byte. Source of the shapes: OpenAI's API reference, and the error pages of the providers in `fixtures/`.
 */
import type { Usage } from '../routing/call-result.js';
import { splitModel, type Adapter, type FailedReading, type Reading } from './adapter.js';
import { findFlaw } from './answer-flaw.js';
import { classifyError, readError } from './classify-error.js';
import { at, parseJson } from './json.js';
import { ofTier, readReply, tellRefusal, toAudio, toFlawedReading, toTokenCount } from './read-reply.js';
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
    if ('class' in read) return toFlawedReading(read, reply, null);
    const { text, body } = read;
    if (isFilled(body.error) || isFilled(at(body, 'choices', 0, 'error')))
      return openaiAdapter.toFailure(reply, nowMs);
    const flaw = findFlaw(endpoint, body);
    const usage = openaiAdapter.toUsage(body);
    const statedCostUsd = toStatedCost(body);
    if (flaw !== null) return { ...toFlawedReading(flaw, reply, usage), statedCostUsd };
    return { ok: true, body: text, usage, statedCostUsd };
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
    const input = countAt(usage, ['prompt_tokens'], ['input_tokens']);
    const output = countAt(usage, ['completion_tokens'], ['output_tokens']);
    if (input === null && output === null) return null;
    const inputTokens = input ?? 0;
    const total = countAt(usage, ['total_tokens']);
    // xAI and Gemini leave reasoning out of the completion, but not out of the total and of the bill.
    const apart = input === null || output === null ? 0 : Math.max(0, (total ?? 0) - input - output);
    const outputTokens = (output ?? 0) + apart;
    const cached = countAt(usage, ...inputDetails('cached_tokens'), ['prompt_cache_hit_tokens']) ?? 0; // The last is DeepSeek's.
    const cachedInputTokens = Math.min(cached, inputTokens);
    const written = countAt(usage, ...inputDetails('cache_write_tokens')) ?? 0;
    const reasoning =
      countAt(
        usage,
        ['completion_tokens_details', 'reasoning_tokens'],
        ['output_tokens_details', 'reasoning_tokens'],
      ) ?? 0;
    return {
      inputTokens,
      outputTokens,
      totalTokens: total ?? inputTokens + outputTokens,
      cachedInputTokens,
      cacheWriteTokens: Math.min(written, inputTokens - cachedInputTokens),
      reasoningTokens: Math.min(Math.max(reasoning, apart), outputTokens),
      ...ofTier(at(body, 'service_tier')),
      ...toAudio(
        countAt(usage, ...inputDetails('audio_tokens')),
        null,
        countAt(
          usage,
          ['completion_tokens_details', 'audio_tokens'],
          ['output_tokens_details', 'audio_tokens'],
        ),
      ),
    };
  },
};

function inputDetails(name: string): string[][] {
  return [
    ['prompt_tokens_details', name],
    ['input_tokens_details', name],
  ];
}

/** The first of these paths at which there is a number of tokens; null if there is none. */
function countAt(usage: unknown, ...paths: readonly (readonly string[])[]): number | null {
  for (const path of paths) {
    const count = toTokenCount(at(usage, ...path));
    if (count !== null) return count;
  }
  return null;
}

/**
 * What OpenRouter (`cost`), Perplexity (`cost.total_cost`, with its searches) and DeepInfra (`estimated_cost`) say that the call
 * cost, in US dollars. With a key of the caller's own at OpenRouter, `cost` is its fee alone; what that key is billed is beside it.
 */
function toStatedCost(body: unknown): number | null {
  const usage = at(body, 'usage');
  const cost = toUsd(at(usage, 'cost')) ?? toUsd(at(usage, 'cost', 'total_cost'));
  if (cost === null) return toUsd(at(usage, 'estimated_cost'));
  if (at(usage, 'is_byok') !== true) return cost;
  const billed = toUsd(at(usage, 'cost_details', 'upstream_inference_cost'));
  return billed === null ? null : cost + billed;
}

function toUsd(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 && value < 1e6 ? value : null;
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== false;
}
