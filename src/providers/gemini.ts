/**
 * Gemini's own wire format, spoken to callers of OpenAI's chat completions and embeddings. What Gemini has no place for is a
 * reason not to call it, never left out. Source of the shapes: Gemini API reference (v1beta), and the pages in `fixtures/`.
 */
import type { Usage } from '../routing/call-result.js';
import {
  splitModel,
  type Adapter,
  type CallRequest,
  type Endpoint,
  type FailedReading,
  type Reading,
} from './adapter.js';
import { findFlaw } from './answer-flaw.js';
import { readChatRequest } from './chat-request.js';
import { readError } from './classify-error.js';
import {
  findEmbeddingFlaw,
  readEmbeddingRequest,
  toEmbeddingBody,
  toEmbeddingList,
} from './gemini-embeddings.js';
import { classifyGoogleError } from './gemini-failure.js';
import { findGeminiFlaw, toChatCompletion } from './gemini-reply.js';
import { toChatBody, whyNotChat } from './gemini-request.js';
import { parseExact, writeExact } from './exact-json.js';
import { at, objectsOf, parseJson, type JsonObject } from './json.js';
import { ofTier, readReply, tellRefusal, toAudio, toFlawedReading, toTokenCount } from './read-reply.js';
import { readDuration, readRetryAfter } from './retry-after.js';

export const geminiAdapter: Adapter = {
  whyNot(endpoint, body) {
    const reason = whyNotReason(endpoint, body);
    return reason === null ? null : `Gemini's API cannot carry this request: ${reason}.`;
  },

  toWire({ model, endpoint, body, attemptId }, provider, key) {
    const path = toModelPath(splitModel(model)?.name ?? model);
    const isChat = endpoint === '/v1/chat/completions';
    return {
      url: `${provider.baseUrl}/${path}:${isChat ? 'generateContent' : 'batchEmbedContents'}`,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'baton',
        'x-request-id': attemptId,
        'x-baton-attempt-id': attemptId,
        ...(key === null ? {} : { 'x-goog-api-key': key.secret }),
      },
      body: writeExact(isChat ? writeChat(body, path) : writeEmbeddings(body, path)),
    };
  },

  fromWire(reply, endpoint, nowMs, asked = {}): Reading {
    if (reply.status < 200 || reply.status > 299) return geminiAdapter.toFailure(reply, nowMs);
    const read = readReply(reply, parseExact);
    if ('class' in read) return toFlawedReading(read, reply, null);
    const { body } = read;
    if (body.error !== undefined && body.error !== null) return geminiAdapter.toFailure(reply, nowMs);
    const counted = geminiAdapter.toUsage(body);
    const usage = counted && { ...counted, ...ofTier(asked.service_tier) };
    const isChat = endpoint === '/v1/chat/completions';
    const answer = isChat ? toChatCompletion(body, usage, nowMs) : toEmbeddingList(body, usage, asked);
    const flaw = (isChat ? findGeminiFlaw(body) : findEmbeddingFlaw(body)) ?? findFlaw(endpoint, answer);
    if (flaw !== null) return toFlawedReading(flaw, reply, usage);
    return { ok: true, body: writeExact(answer), usage, statedCostUsd: null };
  },

  toFailure(reply, nowMs): FailedReading {
    const text = reply.body.toString();
    const body = parseJson(text);
    const facts = readError(body);
    const failureClass = classifyGoogleError(reply.status, body, facts);
    // Google asks to come back in seconds even where a day's quota is used up.
    const delayMs = failureClass === 'quota_exhausted' ? 0 : readDuration(facts.retryDelay ?? undefined);
    return {
      ok: false,
      class: failureClass,
      message: tellRefusal(reply, facts.message),
      retryAfterMs: readRetryAfter(reply.headers, nowMs) ?? (delayMs || null),
      body: text === '' ? null : text,
      usage: geminiAdapter.toUsage(body),
      statedCostUsd: null,
    };
  },

  toUsage(body): Usage | null {
    const count = (name: string) => toTokenCount(at(body, 'usageMetadata', name));
    const prompt = count('promptTokenCount');
    const candidates = count('candidatesTokenCount');
    const reasoningTokens = count('thoughtsTokenCount') ?? 0;
    if (prompt === null && candidates === null && reasoningTokens === 0) return null;
    // What tools of Google's own read is input too, and is not in the prompt's count; thoughts are not in the candidates'.
    const inputTokens = (prompt ?? 0) + (count('toolUsePromptTokenCount') ?? 0);
    const outputTokens = (candidates ?? 0) + reasoningTokens;
    return {
      inputTokens,
      outputTokens,
      totalTokens: count('totalTokenCount') ?? inputTokens + outputTokens,
      cachedInputTokens: Math.min(count('cachedContentTokenCount') ?? 0, inputTokens),
      cacheWriteTokens: 0, // Gemini caches by itself, without a price for it.
      reasoningTokens,
      ...toAudio(
        soundIn(body, 'promptTokensDetails'),
        soundIn(body, 'cacheTokensDetails'),
        soundIn(body, 'candidatesTokensDetails'),
      ),
    };
  },
};

/** The tokens of sound in a list by modality. */
function soundIn(body: unknown, name: string): number | null {
  const sound = objectsOf(at(body, 'usageMetadata', name)).find(({ modality }) => modality === 'AUDIO');
  return toTokenCount(sound?.tokenCount);
}

function whyNotReason(endpoint: Endpoint, body: CallRequest['body']): string | null {
  switch (endpoint) {
    case '/v1/chat/completions': {
      const request = readChatRequest(body);
      return typeof request === 'string' ? request : whyNotChat(request);
    }
    case '/v1/embeddings': {
      const request = readEmbeddingRequest(body);
      return typeof request === 'string' ? request : null;
    }
    case '/v1/completions':
    case '/v1/responses':
      return `it has no counterpart of ${endpoint}`;
  }
}

function writeChat(body: CallRequest['body'], path: string): JsonObject {
  return toChatBody(carried(readChatRequest(body)), path);
}

function writeEmbeddings(body: CallRequest['body'], path: string): JsonObject {
  return toEmbeddingBody(carried(readEmbeddingRequest(body)), path);
}

/** A request that can be carried, as {@link geminiAdapter.whyNot} has told before the call. */
function carried<T extends object>(request: T | string): T {
  if (typeof request === 'string')
    throw new Error(`A request that Gemini cannot carry was called: ${request}`);
  return request;
}

/** The model with its collection: `models/gemini-2.5-flash`. Whatever the name holds, it stays one segment of the address. */
function toModelPath(name: string): string {
  const [, collection = 'models', model = ''] = /^(?:(models|tunedModels)\/)?(.*)$/s.exec(name) ?? [];
  return `${collection}/${encodeURIComponent(model.toWellFormed())}`;
}
