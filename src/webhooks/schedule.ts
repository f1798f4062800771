const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * How long after the end of the last try the next one is due; about 75 hours and 35 minutes in all. The sample of
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
 */
const DELAYS_MS = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
/** Each delay is drawn from this much below to this much above, so that tries that failed together do not come back together. */
const JITTER = 0.2;
const LONGEST_RETRY_AFTER_MS = 24 * HOUR_MS;

/** How many tries a delivery gets in all. */
export const MAX_TRIES = DELAYS_MS.length + 1;

/** What one try came to. */
export interface TryResult {
  /** Null if no answer came. */
  readonly httpStatus: number | null;
  /** What the receiver asked for; null if nothing. */
  readonly retryAfterMs: number | null;
  /** False when the same call can never go well, such as one to a URL that is none. */
  readonly mayRetry: boolean;
}

/** What becomes of the delivery. */
export type AfterTry =
  | { readonly type: 'succeeded' }
  /** Due again in so many whole milliseconds. One that was interrupted takes no place in the schedule. */
  | { readonly type: 'again'; readonly delayMs: number; readonly isInterrupted?: true }
  | { readonly type: 'failed'; readonly reason: 'gone' | 'exhausted' | 'hopeless' };

/**
 * Decides after the try number `tryIndex` (0 for the first). Only 2xx is success, a redirect is a failure, and 410 ends
 * the delivery at once. A Retry-After never shortens a delay and never makes it longer than a day. `random` is from 0 up
 * to but not including 1.
 */
export function afterTry(tryIndex: number, result: TryResult, random: number): AfterTry {
  const { httpStatus, retryAfterMs, mayRetry } = result;
  if (httpStatus !== null && httpStatus >= 200 && httpStatus < 300) return { type: 'succeeded' };
  if (httpStatus === 410) return { type: 'failed', reason: 'gone' };
  if (!mayRetry) return { type: 'failed', reason: 'hopeless' };
  const baseMs = DELAYS_MS[tryIndex];
  if (baseMs === undefined) return { type: 'failed', reason: 'exhausted' };
  const ownMs = baseMs * (1 - JITTER + 2 * JITTER * random);
  const askedMs = Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return { type: 'again', delayMs: Math.round(Math.max(ownMs, askedMs)) };
}

/**
 * Reads a Retry-After header, in seconds or as a date (RFC 9110, 10.2.3), as milliseconds from `nowMs`, never below 0. Null
 * if there is none or it can't be understood.
 */
export function readRetryAfterMs(header: string | undefined, nowMs: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * SECOND_MS;
  // Date.parse reads far more than HTTP's dates, "-5" among it; they all start with the day's name.
  if (!/^[A-Za-z]{3}/.test(text)) return null;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}
