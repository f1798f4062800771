/**
 * Anthropic's answers in OpenAI's words: a message as a `chat.completion`. What OpenAI has no place for, such as signed thinking,
 * goes along under `extra_content.anthropic`, and goes back with the next request. Source: its API reference, "Messages".
 */
import type { Usage } from '../routing/call-result.js';
import type { Flaw } from './answer-flaw.js';
import { writeExact } from './exact-json.js';
import { objectsOf, type JsonObject } from './json.js';
import { toOpenAiUsage } from './openai-usage.js';

/** Why a JSON object with status 200 is no message; null if it is one. */
export function findMessageFlaw(body: JsonObject): Flaw | null {
  if (!Array.isArray(body.content))
    return { class: 'malformed', message: 'answered with JSON that has no list `content`' };
  // Only tools that run at Anthropic pause a turn, and none of them is ever asked for.
  return body.stop_reason === 'pause_turn'
    ? { class: 'malformed', message: 'paused before its answer was done (pause_turn)' }
    : null;
}

/** The `chat.completion` of a message; `nowMs` (Unix time) is when it came. */
export function toChatCompletion(message: JsonObject, usage: Usage | null, nowMs: number): JsonObject {
  return {
    id: message.id ?? '',
    object: 'chat.completion',
    created: Math.floor(nowMs / 1000),
    model: message.model ?? '',
    choices: [
      {
        index: 0,
        message: toAssistantMessage(objectsOf(message.content)),
        logprobs: null,
        finish_reason: toFinishReason(message.stop_reason),
      },
    ],
    ...(usage === null ? {} : { usage: toOpenAiUsage(usage) }),
  };
}

/** OpenAI's word for each `stop_reason`. One that is not known is told as it is: it must not pass for an answer that is whole. */
const FINISH_REASONS: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter', // Not the model declines: a classifier beside it has stopped it.
};

function toFinishReason(stopReason: unknown): unknown {
  const isKnown = typeof stopReason === 'string' && Object.hasOwn(FINISH_REASONS, stopReason);
  return isKnown ? FINISH_REASONS[stopReason] : (stopReason ?? null);
}

function toAssistantMessage(blocks: readonly JsonObject[]): JsonObject {
  const texts = blocks.filter((block) => block.type === 'text');
  const calls = blocks.filter((block) => block.type === 'tool_use');
  const others = blocks.filter((block) => block.type !== 'text' && block.type !== 'tool_use');
  const content = joined(texts, 'text');
  const reasoning = joined(others, 'thinking');
  return {
    role: 'assistant',
    content: content === '' ? null : content,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(toToolCall) }),
    ...(others.length === 0 ? {} : { extra_content: { anthropic: { content: others } } }),
  };
}

function toToolCall({ id, name, input }: JsonObject): JsonObject {
  return { id, type: 'function', function: { name, arguments: writeExact(input ?? {}) } };
}

function joined(blocks: readonly JsonObject[], field: string): string {
  return blocks.map((block) => (typeof block[field] === 'string' ? block[field] : '')).join('');
}
