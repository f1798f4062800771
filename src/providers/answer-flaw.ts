/** What makes a reply with status 200 no answer, endpoint by endpoint. Only flaws that nobody could want; the rest is a policy's `expect`. */
import type { FailureClass } from '../routing/failure.js';
import type { Endpoint } from './adapter.js';
import { at, objectsOf, type JsonObject } from './json.js';

/** Why a reply is no answer; `message` says what the provider did. */
export interface Flaw {
  readonly class: FailureClass;
  readonly message: string;
}

/** The flaw of a parsed reply; null for a good answer. An answer that was cut at the caller's own token limit is good. */
export function findFlaw(endpoint: Endpoint, body: JsonObject): Flaw | null {
  return CHECKS[endpoint](body);
}

const CHECKS: Readonly<Record<Endpoint, (body: JsonObject) => Flaw | null>> = {
  '/v1/chat/completions': checkChat,
  '/v1/completions': (body) => checkList(body, 'choices') ?? checkFinish(objectsOf(body.choices)),
  '/v1/embeddings': (body) => checkList(body, 'data'),
  '/v1/responses': checkResponse,
};

const FILTERED: Flaw = {
  class: 'content_filtered',
  message: 'withheld its answer: its content filter stopped it',
};
const REFUSED: Flaw = { class: 'refused', message: 'answered with a refusal' };
const EMPTY: Flaw = { class: 'empty', message: 'answered without any content' };
/** Mostly all tokens went into reasoning. The same limit would end the next call in the same way. */
const CUT_TO_NOTHING: Flaw = {
  class: 'truncated',
  message: 'reached the token limit before it answered anything',
};

function checkChat(body: JsonObject): Flaw | null {
  const flaw = checkList(body, 'choices') ?? checkFinish(objectsOf(body.choices));
  if (flaw !== null) return flaw;
  const messages = objectsOf(body.choices).map((choice) => choice.message);
  // With several choices one that says something is enough.
  if (messages.some((message) => CONTENT_FIELDS.some((field) => isFilled(at(message, field))))) return null;
  if (messages.some((message) => isFilled(at(message, 'refusal')))) return REFUSED;
  return objectsOf(body.choices).some(isCut) ? CUT_TO_NOTHING : EMPTY;
}

/** `model_length` is Mistral's word. */
function isCut({ finish_reason: reason }: JsonObject): boolean {
  return reason === 'length' || reason === 'model_length';
}

/** Where a chat message may carry what was asked for: text or parts, calls of tools, speech, pictures. */
const CONTENT_FIELDS = ['content', 'tool_calls', 'function_call', 'audio', 'images'];

function checkFinish(choices: readonly JsonObject[]): Flaw | null {
  const reasons = new Set(choices.map((choice) => choice.finish_reason));
  if (reasons.size !== 1) return null; // With several choices, one that was let through is enough.
  if (reasons.has('content_filter')) return FILTERED;
  return reasons.has('refusal') ? REFUSED : null;
}

function checkResponse(body: JsonObject): Flaw | null {
  if (body.status === 'incomplete' && at(body, 'incomplete_details', 'reason') === 'content_filter')
    return FILTERED;
  if (body.status === 'queued' || body.status === 'in_progress') {
    return {
      class: 'malformed',
      message: `answered before it was done (status ${body.status}): leave out \`background\``,
    };
  }
  if (body.status === 'failed' || body.status === 'cancelled') {
    return { class: 'server_error', message: `answered that the response has ${body.status}` };
  }
  const isCutShort = at(body, 'incomplete_details', 'reason') === 'max_output_tokens';
  const empty = body.status === 'incomplete' && isCutShort ? CUT_TO_NOTHING : EMPTY;
  const flaw = checkList(body, 'output');
  if (flaw !== null) return flaw.class === 'empty' ? empty : flaw;
  const items = objectsOf(body.output).filter((item) => item.type !== 'reasoning');
  if (items.some((item) => item.type !== 'message')) return null; // A call of a tool, a picture, …
  const parts = items.flatMap((item) => objectsOf(item.content));
  if (parts.some((part) => isFilled(part.text) || !['output_text', 'refusal'].includes(String(part.type))))
    return null;
  return parts.some((part) => isFilled(part.refusal)) ? REFUSED : empty;
}

function checkList(body: JsonObject, field: string): Flaw | null {
  const list = body[field];
  if (!Array.isArray(list))
    return { class: 'malformed', message: `answered with JSON that has no list \`${field}\`` };
  return list.length === 0 ? EMPTY : null;
}

function isFilled(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== null && value !== '';
}
