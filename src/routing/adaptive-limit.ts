/**
 * How many calls at once a model bears with a key, found out by asking for more until it refuses.
 *
 * There is no cap until the first refusal (429 or 503 for load). A refusal halves what is in flight, once for each
 * congestion: calls that began before the cut say nothing new about it. Then the cap grows again: by one for each call
 * that was borne, up to just under where it was refused, since that much was borne a moment ago; beyond that by the cube of the
 * calls borne since, as TCP CUBIC does. The cube is flat at first, so the known limit is kept long and asked for rarely, and
 * steep later, so a limit that was raised is found soon. A plain additive increase has one slope for both: fast
 * enough to find the raised limit it is refused too often, and slow enough to be refused seldom it stays low for minutes.
 *
 * That is counted in calls, so that it does not matter how long they last, but in time where they last long: a chance
 * refusal must not hold a batch of calls of a minute each down to two at once for an hour.
 */

export interface AdaptiveLimit {
  inFlight: number;
  /** How many calls may be in flight, not whole; Infinity while nothing was refused. */
  cap: number;
  /** The most calls that were borne when one more was refused. */
  ceiling: number;
  /** Calls that were borne since the cap came back to the ceiling. */
  borne: number;
  /** How long it was in use since then, in milliseconds. */
  usedMs: number;
  /** How often the cap was cut. */
  cuts: number;
  /** When a call last began or ended. */
  lastMs: number;
}

/** What is remembered of a call from its beginning to its end. */
export interface BegunCall {
  /** How many calls were in flight when it began, it being one of them. */
  readonly rank: number;
  /** How many cuts there had been. */
  readonly cuts: number;
}

/** After so long without a call, what was found out is out of date. */
const FORGET_AFTER_MS = 300_000;
/** After so long in use, more is asked for, however few calls that were. */
const LONGEST_STAY_MS = 300_000;
/** The fewest calls between two questions for more, so that even a small limit refuses few of them. */
const LEAST_PROBE_CALLS = 100;
/** The same for a large limit, as a multiple of it. */
const PROBE_ROUNDS = 6;
/** The part of the cap that must be in use for a borne call to say that the cap is borne. */
const IN_USE = 0.8;

export function createAdaptiveLimit(): AdaptiveLimit {
  return { inFlight: 0, cap: Infinity, ceiling: Infinity, borne: 0, usedMs: 0, cuts: 0, lastMs: -Infinity };
}

/** How many calls may be in flight now: a whole number of at least 1, or Infinity. */
export function capOf(limit: AdaptiveLimit, nowMs: number): number {
  const isForgotten = limit.inFlight === 0 && nowMs - limit.lastMs > FORGET_AFTER_MS;
  return isForgotten ? Infinity : Math.max(1, Math.floor(limit.cap));
}

/** Counts a call in; whoever calls this hands the result to {@link ended}, however the call ends. */
export function began(limit: AdaptiveLimit, nowMs: number): BegunCall {
  if (capOf(limit, nowMs) === Infinity) limit.cap = Infinity;
  limit.inFlight += 1;
  limit.lastMs = nowMs;
  return { rank: limit.inFlight, cuts: limit.cuts };
}

/**
 * Counts a call out, and learns from how it ended: refused means for load (`rate_limited`, `overloaded`); null that it says
 * nothing, because it was not made or was stopped by us.
 */
export function ended(limit: AdaptiveLimit, call: BegunCall, isRefused: boolean | null, nowMs: number): void {
  if (isRefused === true) shrink(limit, call);
  if (isRefused === false) grow(limit, nowMs);
  limit.inFlight -= 1;
  limit.lastMs = nowMs;
}

function shrink(limit: AdaptiveLimit, call: BegunCall): void {
  if (call.cuts < limit.cuts) {
    // Of one congestion, the call with the fewest others beside it knows best.
    limit.ceiling = Math.max(limit.cap, Math.min(limit.ceiling, call.rank - 1));
    return;
  }
  limit.borne = 0;
  limit.usedMs = 0;
  // Refused all alone: whatever is used up there, it is not the calls at once.
  if (limit.inFlight === 1) return;
  limit.cap = Math.floor(limit.inFlight / 2);
  // Not below the cap: where even the first of many calls is refused, it is a moment's trouble and no limit of one.
  limit.ceiling = Math.max(limit.cap, call.rank - 1);
  limit.cuts += 1;
}

function grow(limit: AdaptiveLimit, nowMs: number): void {
  if (limit.cap === Infinity || limit.inFlight < IN_USE * Math.floor(limit.cap)) return;
  if (limit.cap < limit.ceiling) {
    limit.cap = Math.min(limit.ceiling, limit.cap + 1);
    return;
  }
  limit.borne += 1;
  // Only since the last event: hours of little use must not count.
  limit.usedMs += nowMs - limit.lastMs;
  const probeCalls = Math.max(LEAST_PROBE_CALLS, PROBE_ROUNDS * limit.ceiling);
  limit.cap = limit.ceiling + Math.max(limit.borne / probeCalls, limit.usedMs / LONGEST_STAY_MS) ** 3;
}
