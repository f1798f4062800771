/** Patience: how long a job may be held up by one model while it could go on to another. */

import { type Backoff, NAMED_BACKOFF, ROUND_BACKOFF, saneRetryAfterMs } from './backoff.js';
import { FAILURES } from './failure.js';
import { isFailure, isHeldBack, type PastAttempt, type PastFailure } from './history.js';

/** True if waiting is what the failure asks for: it is held back, or it can heal and says when. */
export function asksForTime(failure: PastFailure): boolean {
  return isHeldBack(failure) || (FAILURES[failure.class].heals && namesItsEnd(failure));
}

/** What a wait for the failure to be over is drawn from: growing guesswork, or next to nothing where there is nothing to guess. */
export function backoffFor(failure: PastFailure): Backoff {
  return isHeldBack(failure) && namesItsEnd(failure) ? NAMED_BACKOFF : ROUND_BACKOFF;
}

/**
 * What is left of a step's patience when the last attempt ended, in milliseconds; below zero if it is overdrawn. It runs
 * from the end of the first attempt that asked for time, among those that were made at this step without leaving it.
 */
export function patienceLeftMs(attempts: readonly PastAttempt[], patienceMs: number): number {
  const last = attempts.at(-1);
  if (last === undefined) return patienceMs;
  const left = attempts.findLastIndex(({ step, round }) => step !== last.step || round !== last.round);
  const stay = attempts.slice(left + 1).filter(isFailure);
  const sinceMs = stay.find(asksForTime)?.endedAtMs ?? last.endedAtMs;
  return patienceMs - (last.endedAtMs - sinceMs);
}

function namesItsEnd({ retryAfterMs }: PastFailure): boolean {
  return saneRetryAfterMs(retryAfterMs) > 0;
}
