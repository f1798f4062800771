/**
 * Gemini's answers in OpenAI's words: a `generateContent` reply as a `chat.completion`. What OpenAI has no place for goes along
 * under `extra_content.google`, as in Google's own OpenAI-compatible API, with the names that Gemini gives it.
 * Source: Gemini API reference, "GenerateContentResponse"; Google's pages "OpenAI compatibility" and "Thought signatures".
 */
import type { Usage } from '../routing/call-result.js';
import type { Flaw } from './answer-flaw.js';
import { writeExact } from './exact-json.js';
import { at, isObject, objectsOf, type JsonObject } from './json.js';
import { toOpenAiUsage } from './openai-usage.js';

/** The `chat.completion` of a parsed reply; `nowMs` (Unix time) is when it came. */
export function toChatCompletion(reply: JsonObject, usage: Usage | null, nowMs: number): JsonObject {
  const { candidates, modelVersion, responseId, ...rest } = reply;
  const id = typeof responseId === 'string' ? responseId : '';
  return {
    id,
    object: 'chat.completion',
    created: Math.floor(nowMs / 1000),
    model: modelVersion ?? '',
    choices: objectsOf(candidates).map((candidate, index) => toChoice(candidate, index, id)),
    ...(usage === null ? {} : { usage: toOpenAiUsage(usage) }),
    extra_content: { google: rest },
  };
}

/** Why a reply is no answer although its status is 200; null if nothing that only Gemini says speaks against it. */
export function findGeminiFlaw(reply: JsonObject): Flaw | null {
  const candidates = objectsOf(reply.candidates);
  const blocked = at(reply, 'promptFeedback', 'blockReason');
  if (candidates.length === 0 && typeof blocked === 'string') {
    return { class: 'content_filtered', message: `refused the prompt: ${blocked}` };
  }
  if (reply.candidates === undefined && reply.usageMetadata === undefined) {
    return { class: 'malformed', message: 'answered with JSON that has no list `candidates`' };
  }
  const flaws = candidates.map(findCandidateFlaw);
  // With several candidates one that is good is enough.
  return flaws.every((flaw) => flaw !== null) ? (flaws[0] ?? null) : null;
}

function findCandidateFlaw(candidate: JsonObject): Flaw | null {
  const reason = finishOf(candidate);
  const ending = ENDINGS.get(reason) ?? UNKNOWN_ENDING;
  if (ending.flaw === null) return null;
  const told = typeof candidate.finishMessage === 'string' ? `: ${candidate.finishMessage}` : '';
  return { class: ending.flaw, message: `${ending.words} (${reason})${told}` };
}

interface Ending {
  /** OpenAI's word for it. */
  readonly word: string;
  /** What it makes of the answer; null if the answer is good. */
  readonly flaw: Flaw['class'] | null;
  readonly words: string;
}

const FILTERED: Ending = { word: 'content_filter', flaw: 'content_filtered', words: 'withheld its answer' };
const BROKEN: Ending = { word: 'error', flaw: 'malformed', words: 'stopped without a usable answer' };
const UNKNOWN_ENDING: Ending = {
  word: 'error',
  flaw: 'malformed',
  words: 'stopped for a reason it does not tell',
};

/** What each `finishReason` means. A reply without one is taken for whole: whether there is something in it is looked at later. */
const ENDINGS: ReadonlyMap<string, Ending> = new Map([
  ['STOP', { word: 'stop', flaw: null, words: '' }],
  ['MAX_TOKENS', { word: 'length', flaw: null, words: '' }],
  // The limit of one request was reached before the caller's own.
  ['CONTINUATION', { word: 'length', flaw: null, words: '' }],
  ['SAFETY', FILTERED],
  ['RECITATION', FILTERED],
  ['LANGUAGE', FILTERED],
  ['BLOCKLIST', FILTERED],
  ['PROHIBITED_CONTENT', FILTERED],
  ['SPII', FILTERED],
  ['IMAGE_SAFETY', FILTERED],
  ['IMAGE_PROHIBITED_CONTENT', FILTERED],
  ['IMAGE_RECITATION', FILTERED],
  ['MALFORMED_FUNCTION_CALL', BROKEN],
  ['MALFORMED_RESPONSE', BROKEN],
  ['UNEXPECTED_TOOL_CALL', BROKEN],
  ['TOO_MANY_TOOL_CALLS', BROKEN],
  ['NO_IMAGE', BROKEN],
  ['IMAGE_OTHER', BROKEN],
  [
    'MISSING_THOUGHT_SIGNATURE',
    { word: 'error', flaw: 'invalid_request', words: 'wants its thought signatures back' },
  ],
]);

function finishOf(candidate: JsonObject): string {
  return typeof candidate.finishReason === 'string' ? candidate.finishReason : 'STOP';
}

function toChoice(candidate: JsonObject, index: number, replyId: string): JsonObject {
  const { content, logprobsResult, index: given, ...rest } = candidate;
  const message = toMessage(objectsOf(at(content, 'parts')), `${replyId}_${index}`);
  const { word } = ENDINGS.get(finishOf(candidate)) ?? UNKNOWN_ENDING;
  return {
    index: typeof given === 'number' ? given : index,
    message,
    logprobs: isObject(logprobsResult) ? toLogprobs(logprobsResult) : null,
    finish_reason: word === 'stop' && 'tool_calls' in message ? 'tool_calls' : word,
    extra_content: { google: rest },
  };
}

/** One message of a candidate's parts; `id` makes the ids of calls that Gemini gave none. */
function toMessage(parts: readonly JsonObject[], id: string): JsonObject {
  const said = parts.filter(isText);
  const content = textOf(said.filter((part) => part.thought !== true));
  const reasoning = textOf(said.filter((part) => part.thought === true));
  const calls = parts.filter((part) => isObject(part.functionCall));
  const images = parts.filter(isImage);
  // The signature of an answer in words stands on its last part.
  const signature = said.findLast((part) => part.thoughtSignature !== undefined)?.thoughtSignature;
  const others = parts.filter((part) => !isText(part) && !isImage(part) && !calls.includes(part));
  const extra = {
    ...(signature === undefined ? {} : { thought_signature: signature }),
    ...(others.length === 0 ? {} : { parts: others }),
  };
  return {
    role: 'assistant',
    content: content === '' ? null : content,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call, nth) => toToolCall(call, `${id}_${nth}`)) }),
    ...(images.length === 0 ? {} : { images: images.map(toImage) }),
    ...(Object.keys(extra).length === 0 ? {} : { extra_content: { google: extra } }),
  };
}

function isText(part: JsonObject): boolean {
  return typeof part.text === 'string';
}

function textOf(parts: readonly JsonObject[]): string {
  return parts.map((part) => part.text).join('');
}

function toToolCall(part: JsonObject, ownId: string): JsonObject {
  const id = at(part, 'functionCall', 'id');
  return {
    id: typeof id === 'string' && id !== '' ? id : `call_${ownId}`,
    type: 'function',
    function: {
      name: at(part, 'functionCall', 'name'),
      arguments: writeExact(at(part, 'functionCall', 'args') ?? {}),
    },
    // A model that reasons wants it back with the call, else it refuses the next turn.
    ...(part.thoughtSignature === undefined
      ? {}
      : { extra_content: { google: { thought_signature: part.thoughtSignature } } }),
  };
}

function isImage(part: JsonObject): boolean {
  const type = at(part, 'inlineData', 'mimeType');
  return typeof type === 'string' && type.startsWith('image/') && part.thought !== true;
}

function toImage({ inlineData }: JsonObject): JsonObject {
  const url = `data:${String(at(inlineData, 'mimeType'))};base64,${String(at(inlineData, 'data'))}`;
  return { type: 'image_url', image_url: { url } };
}

function toLogprobs(result: JsonObject): JsonObject {
  const alternatives = objectsOf(result.topCandidates);
  return {
    content: objectsOf(result.chosenCandidates).map((chosen, index) => ({
      ...toTokenLogprob(chosen),
      top_logprobs: objectsOf(alternatives[index]?.candidates).map(toTokenLogprob),
    })),
    refusal: null,
  };
}

function toTokenLogprob({ token, logProbability }: JsonObject): JsonObject {
  return { token, logprob: logProbability, bytes: null };
}
