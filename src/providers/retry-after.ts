/** How long a provider asks us to stay away. Nothing that it writes there can make us wait for ever, or for a time that is no number. */

type Headers = Readonly<Record<string, string>>;

const MAX_WAIT_MS = 7 * 24 * 3600 * 1000;

/**
 * The wait in milliseconds that `retry-after-ms` or `Retry-After` (seconds or an HTTP date: RFC 9110, 10.2.3) asks for, at
 * most seven days; null if neither says anything sensible. A date that has passed is 0.
 */
export function readRetryAfter(headers: Headers, nowMs: number): number | null {
  return (
    readNumber(headers['retry-after-ms'], 1) ??
    readNumber(headers['retry-after'], 1000) ??
    readDate(headers['retry-after'], nowMs)
  );
}

/**
 * The wait in milliseconds until the limit that was hit is free again, from OpenAI's `x-ratelimit-reset-requests` and
 * `-tokens` (`1s`, `6m0s`, `120ms`). Null if nothing sensible is said: some send -1 or 0 when they do not know.
 */
export function readRateLimitReset(headers: Headers): number | null {
  const limits = ['requests', 'tokens'].map((unit) => ({
    isUsedUp: headers[`x-ratelimit-remaining-${unit}`]?.trim() === '0',
    resetMs: readDuration(headers[`x-ratelimit-reset-${unit}`]),
  }));
  return longestUsedUp(limits);
}

/** The same from Anthropic's `anthropic-ratelimit-*-reset`, which are dates (RFC 3339); `nowMs` is Unix time. */
export function readAnthropicReset(headers: Headers, nowMs: number): number | null {
  const limits = ['requests', 'tokens', 'input-tokens', 'output-tokens'].map((unit) => ({
    isUsedUp: headers[`anthropic-ratelimit-${unit}-remaining`]?.trim() === '0',
    resetMs: readTimestamp(headers[`anthropic-ratelimit-${unit}-reset`], nowMs),
  }));
  return longestUsedUp(limits);
}

interface Limit {
  readonly isUsedUp: boolean;
  /** 0 if it is not known. */
  readonly resetMs: number;
}

/** The wait for the limit that was hit: the one with nothing remaining; if that is not said, the one that is free first. */
function longestUsedUp(limits: readonly Limit[]): number | null {
  const usedUp = limits.filter((limit) => limit.isUsedUp);
  const waits = (usedUp.length > 0 ? usedUp : limits).flatMap((limit) =>
    limit.resetMs > 0 ? [limit.resetMs] : [],
  );
  if (waits.length === 0) return null;
  return usedUp.length > 0 ? Math.max(...waits) : Math.min(...waits);
}

/** Milliseconds of a duration such as `1h2m3.5s`, `120ms` or `7` (seconds), at most seven days; 0 if it is none. */
export function readDuration(text: string | undefined): number {
  const written = text?.trim() ?? '';
  if (PLAIN_NUMBER.test(written)) return bounded(Number(written) * 1000);
  if (!DURATION.test(written)) return 0;
  let totalMs = 0;
  for (const [, amount, unit] of written.matchAll(DURATION_PART))
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return bounded(totalMs);
}

const PLAIN_NUMBER = /^\d+(?:\.\d+)?$/;
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|[dhms])/g;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function readNumber(text: string | undefined, unitMs: number): number | null {
  const written = text?.trim() ?? '';
  return PLAIN_NUMBER.test(written) ? bounded(Number(written) * unitMs) : null;
}

function readDate(text: string | undefined, nowMs: number): number | null {
  // Date.parse takes much that is no date (`-5` is a year); every HTTP date begins with the name of a day.
  if (text === undefined || !/^\s*(?:mon|tue|wed|thu|fri|sat|sun)/i.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : bounded(Math.max(0, atMs - nowMs));
}

/** Milliseconds until an RFC 3339 date; 0 if it has passed or is none. */
function readTimestamp(text: string | undefined, nowMs: number): number {
  if (text === undefined || !/^\s*\d{4}-\d\d-\d\dT/.test(text)) return 0;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? 0 : bounded(Math.max(0, atMs - nowMs));
}

function bounded(waitMs: number): number {
  return Math.round(Math.min(waitMs, MAX_WAIT_MS));
}
