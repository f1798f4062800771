/** How long to stay away from a model, as pure arithmetic: the same seed and count give the same wait. */

/** A growing wait: drawn evenly between `leastMs` and a ceiling that doubles from `baseMs` up to `capMs`. */
export interface Backoff {
  readonly leastMs: number;
  readonly baseMs: number;
  readonly capMs: number;
}

/** For a step's own retries: full jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
export const RETRY_BACKOFF: Backoff = { leastMs: 0, baseMs: 500, capMs: 30_000 };

/**
 * For whole rounds and for `wait`. Never less than a second, because nothing else bounds how often a job may find
 * every model out of reach; never more than five minutes, the longest that a circuit stays open.
 */
export const ROUND_BACKOFF: Backoff = { leastMs: 1_000, baseMs: 2_000, capMs: 300_000 };

/**
 * For a limit of ours or an open circuit that names its end: that is no guess, so nothing grows and little is laid on
 * top. Not nothing, because a limit that names the next millisecond again and again must not make the job spin.
 */
export const NAMED_BACKOFF: Backoff = { leastMs: 250, baseMs: 250, capMs: 250 };

/** Longer than any job may live, and small enough that a moment in time plus it stays an exact integer. */
const LONGEST_RETRY_AFTER_MS = 30 * 24 * 3_600_000;
const RETRY_AFTER_JITTER = 0.1;

interface Wait {
  readonly backoff: Backoff;
  /** How often this kind of wait came before; 0 for the first. */
  readonly earlier: number;
  /** What the provider asked for; the wait is never shorter. Null if it did not say. */
  readonly retryAfterMs: number | null;
  /** What is left until the job's deadline. Our own backoff takes at most half of it; a Retry-After is kept whole. */
  readonly leftMs: number;
  /** From 0 up to but not including 1: see `draw`. */
  readonly drawn: number;
}

/** Milliseconds to wait, a whole number, counted from the end of the last attempt. */
export function waitMs({ backoff, earlier, retryAfterMs, leftMs, drawn }: Wait): number {
  const { leastMs } = backoff;
  const drawnMs = leastMs + drawn * (ceilingMs(backoff, earlier) - leastMs);
  const ownMs = Math.min(drawnMs, Math.max(0, leftMs) / 2);
  const askedMs = saneRetryAfterMs(retryAfterMs) * (1 + RETRY_AFTER_JITTER * drawn);
  return Math.ceil(Math.max(ownMs, askedMs));
}

/** The longest that a backoff may draw once `earlier` of its kind came before, in milliseconds. */
export function ceilingMs({ baseMs, capMs }: Backoff, earlier: number): number {
  return Math.min(capMs, baseMs * 2 ** earlier);
}

/** A provider's Retry-After as a wait that can be reckoned with: nothing, negative and NaN are 0, the huge is 30 days. */
export function saneRetryAfterMs(retryAfterMs: number | null): number {
  if (retryAfterMs === null || !(retryAfterMs > 0)) return 0;
  return Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
}

/** An even draw from [0, 1) that is fixed by its inputs: splitmix32 (the finaliser of MurmurHash3). */
export function draw(seed: number, count: number): number {
  let bits = (seed + Math.imul(count + 1, 0x9e3779b9)) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
}
