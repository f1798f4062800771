/**
 * Anthropic's wire format, the Messages API: a chat completion is written as a message's request, and the message comes back as a
 * chat completion. Source: Anthropic's API reference, "Messages", "Errors" and "Rate limits", version 2023-06-01.
 */
import type { Usage } from '../routing/call-result.js';
import { splitModel, type Adapter, type FailedReading, type Reading } from './adapter.js';
import { findFlaw } from './answer-flaw.js';
import { findMessageFlaw, toChatCompletion } from './anthropic-answer.js';
import { findLoss, toAnthropicBody } from './anthropic-request.js';
import { readChatRequest } from './chat-request.js';
import { classifyError, readError } from './classify-error.js';
import { parseExact, writeExact } from './exact-json.js';
import { at, parseJson } from './json.js';
import { readReply, tellRefusal, toFlawedReading, toTokenCount } from './read-reply.js';
import { readAnthropicReset, readRetryAfter } from './retry-after.js';

const CHAT = '/v1/chat/completions';

export const anthropicAdapter: Adapter = {
  whyNot(endpoint, body) {
    if (endpoint !== CHAT) return `Anthropic's API answers ${CHAT} only, not ${endpoint}.`;
    const request = readChatRequest(body);
    const loss = typeof request === 'string' ? request : findLoss(request);
    return loss === null ? null : `Anthropic's API cannot carry this request: ${loss}.`;
  },

  toWire({ model, body, attemptId }, provider, key) {
    const request = readChatRequest(body);
    if (typeof request === 'string') throw new Error(`a request that cannot be carried over: ${request}`);
    return {
      url: `${provider.baseUrl}/messages`,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'baton',
        'anthropic-version': '2023-06-01',
        'x-request-id': attemptId,
        'x-baton-attempt-id': attemptId,
        ...(key === null ? {} : { 'x-api-key': key.secret }),
      },
      body: writeExact(toAnthropicBody(request, splitModel(model)?.name ?? model)),
    };
  },

  fromWire(reply, endpoint, nowMs): Reading {
    if (reply.status < 200 || reply.status > 299) return anthropicAdapter.toFailure(reply, nowMs);
    const read = readReply(reply, parseExact);
    if ('class' in read) return toFlawedReading(read, reply, null);
    const { body } = read;
    if (body.type === 'error') return anthropicAdapter.toFailure(reply, nowMs);
    const usage = anthropicAdapter.toUsage(body);
    const completion = toChatCompletion(body, usage, nowMs);
    const flaw = findMessageFlaw(body) ?? findFlaw(endpoint, completion);
    if (flaw !== null) return toFlawedReading(flaw, reply, usage);
    return { ok: true, body: writeExact(completion), usage, statedCostUsd: null };
  },

  toFailure(reply, nowMs): FailedReading {
    const facts = readError(parseJson(reply.body.toString()));
    return {
      ...toFlawedReading(
        { class: classifyError(reply.status, facts), message: tellRefusal(reply, facts.message) },
        reply,
        null,
      ),
      retryAfterMs:
        readRetryAfter(reply.headers, nowMs) ??
        (reply.status === 429 ? readAnthropicReset(reply.headers, nowMs) : null),
    };
  },

  toUsage(body): Usage | null {
    const usage = at(body, 'usage');
    const fresh = toTokenCount(at(usage, 'input_tokens'));
    const outputTokens = toTokenCount(at(usage, 'output_tokens')) ?? 0;
    if (fresh === null && at(usage, 'output_tokens') === undefined) return null;
    const cachedInputTokens = toTokenCount(at(usage, 'cache_read_input_tokens')) ?? 0;
    const cacheWriteTokens = toTokenCount(at(usage, 'cache_creation_input_tokens')) ?? 0;
    // Anthropic counts what was read from and written to its cache apart from the rest of the input.
    const inputTokens = (fresh ?? 0) + cachedInputTokens + cacheWriteTokens;
    const reasoning = toTokenCount(at(usage, 'output_tokens_details', 'thinking_tokens')) ?? 0;
    return {
      inputTokens,
      outputTokens,
      totalTokens: inputTokens + outputTokens,
      cachedInputTokens,
      cacheWriteTokens,
      reasoningTokens: Math.min(reasoning, outputTokens),
    };
  },
};
