/** What all wire formats read from a reply in the same way: its text, its JSON, its words, its counts of tokens. */
import type { Usage } from '../routing/call-result.js';
import type { FailedReading, WireReply } from './adapter.js';
import type { Flaw } from './answer-flaw.js';
import { isNestedWithin, isObject, parseJson, type JsonObject } from './json.js';

/** The body of a reply as text and as the JSON object it must be, read by `parse`; else the flaw. */
export function readReply(
  reply: WireReply,
  parse = parseJson,
): { readonly text: string; readonly body: JsonObject } | Flaw {
  const text = decode(reply);
  const body = text === null ? undefined : parse(text);
  if (text === null || !isObject(body)) return unreadable(reply);
  if (isNestedWithin(body, MOST_LEVELS)) return { text, body };
  return { class: 'malformed', message: 'answered with JSON that is nested too deep' };
}

/** As deep as anything that is of use. */
const MOST_LEVELS = 200;

/** The reading of a reply that is no answer, although its status may be 200. */
export function toFlawedReading(flaw: Flaw, reply: WireReply, usage: Usage | null): FailedReading {
  return {
    ok: false,
    ...flaw,
    retryAfterMs: null,
    body: reply.body.length === 0 ? null : reply.body.toString(),
    usage,
    statedCostUsd: null,
  };
}

/** What a provider did that refused a call, to stand after its name; `told` is its own message, empty if it gave none. */
export function tellRefusal(reply: WireReply, told: string): string {
  const words = told || statusText(reply, reply.body.toString());
  return words === '' ? `answered ${reply.status}` : `answered ${reply.status}: ${words}`;
}

/** More tokens than any call can have: a number beyond it is a mistake, and is taken for not said. */
const MAX_TOKENS = 1_000_000_000;

/** A count of tokens; null for anything that cannot be one. */
export function toTokenCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS
    ? value
    : null;
}

/** What of a usage is sound, as far as it is said; nothing where there is none. */
export function toAudio(
  input: number | null,
  cachedInput: number | null,
  output: number | null,
): Pick<Usage, 'audio'> {
  const audio = {
    inputTokens: input ?? 0,
    cachedInputTokens: cachedInput ?? 0,
    outputTokens: output ?? 0,
  };
  return audio.inputTokens === 0 && audio.outputTokens === 0 ? {} : { audio };
}

/** Marks the usage of a call in a class of service (`service_tier`) that costs more, or less, than the published price. */
export function ofTier(tier: unknown): Pick<Usage, 'isOffList'> {
  return tier === 'flex' || tier === 'priority' ? { isOffList: true } : {};
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
