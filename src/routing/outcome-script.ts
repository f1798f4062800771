/** How the outcome of a call is written in a script of them: `ok`, `server_error`, `rate_limited:5`. */
import { FAILURE_CLASSES, type FailureClass } from './failure.js';

export interface ScriptedOutcome {
  /** Null for a good answer. */
  readonly class: FailureClass | null;
  /** How long the provider asks us to stay away, in milliseconds; null if it does not say. */
  readonly retryAfterMs: number | null;
}

/**
 * Reads `ok`, or a class of failure, which may be followed by the seconds of its Retry-After (`rate_limited:5`, `overloaded:0.25`).
 * Gives a sentence that says what is wrong with any other text.
 */
export function parseOutcome(text: string): ScriptedOutcome | string {
  if (text === 'ok') return { class: null, retryAfterMs: null };
  const [name = '', ...rest] = text.split(':');
  const failureClass = FAILURE_CLASSES.find((known) => known === name);
  if (failureClass === undefined) {
    return `\`${text.slice(0, 64)}\` is no outcome: write \`ok\`, or a class of failure as \`server_error\` or \`rate_limited:5\`.`;
  }
  if (rest.length === 0) return { class: failureClass, retryAfterMs: null };
  const seconds = rest.join(':');
  if (!SECONDS.test(seconds)) {
    return `What follows \`${name}:\` must be seconds to stay away, as \`5\` or \`0.25\`.`;
  }
  return { class: failureClass, retryAfterMs: Math.round(Number(seconds) * 1000) };
}

/** Up to 115 days, to the millisecond. */
const SECONDS = /^\d{1,7}(?:\.\d{1,3})?$/;
