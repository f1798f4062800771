/**
 * The one place where it is decided what a job does next. It reads what has happened and answers; it does nothing.
 *
 * Every answer's `decision` and `reason` depend on the attempts (and on how many keys there are) and not on when the
 * question is asked, nor on whether room was made. So a `wait` and the `call` after it say the same, and an old answer
 * can be had again by asking again. (Only a job that is asked about later than it wanted may find a model nearer to the
 * head of its chain that is open again.)
 */

import { type Backoff, ceilingMs, draw, RETRY_BACKOFF, saneRetryAfterMs, waitMs } from './backoff.js';
import { leavesTime, longestCallMs } from './call-time.js';
import type { Decision } from './failure.js';
import {
  hasOtherKey,
  isFailure,
  isTurn,
  lastFailures,
  lastReal,
  openerOf,
  openFromMs,
  type PastAttempt,
  type PastFailure,
  wasCalled,
} from './history.js';
import { asksForTime, backoffFor, patienceLeftMs } from './patience.js';
import { inWords, passedOver } from './reasons.js';
import {
  earlierHere,
  earlierWithRule,
  isRoomAt,
  mayCallNoMore,
  nextInRound,
  type Place,
  ruleFor,
  type Situation,
  stepAt,
} from './situation.js';

export type { PastAttempt } from './history.js';

/**
 * What to do now, and why. `decision` and `reason` are written on the last attempt.
 *
 * - `call`: call this step; `timeoutMs` always ends before the job's deadline.
 * - `wait`: ask again at `untilMs` (Unix milliseconds); `step` and `round` are what is then to be called.
 * - `fail`: the job ends with the failure of `attempts[attempt]`: the one that a `stop` rule met; else the last failure
 *   of a model that was really called; else the last that was skipped; else (all were interrupted) the last of all.
 * - `expire`: the deadline is here, or too near for another call.
 */
export type Action =
  | {
      readonly type: 'call';
      readonly step: number;
      readonly round: number;
      readonly timeoutMs: number;
      readonly decision: Decision;
      readonly reason: string;
    }
  | {
      readonly type: 'wait';
      readonly step: number;
      readonly round: number;
      readonly untilMs: number;
      readonly decision: Decision;
      readonly reason: string;
    }
  | { readonly type: 'succeed'; readonly decision: 'accept'; readonly reason: string }
  | { readonly type: 'fail'; readonly attempt: number; readonly decision: 'stop'; readonly reason: string }
  | { readonly type: 'expire'; readonly decision: 'stop'; readonly reason: string };

/**
 * What to do next with a job. The same situation always gets the same answer.
 *
 * @throws {RangeError} if the attempts do not belong to the chain: a defect of the caller.
 */
export function nextAction(situation: Situation): Action {
  const { attempts, nowMs, deadlineMs } = situation;
  const last = attempts.at(-1);
  if (last?.outcome === 'succeeded') {
    return { type: 'succeed', decision: 'accept', reason: 'succeeded: the answer is accepted' };
  }
  // The worker ends a cancelled job without asking. Should it ask all the same, nothing more is called and paid for.
  if (last?.outcome === 'cancelled') return fail(attempts.length - 1, 'cancelled: nothing more is called');
  if (nowMs >= deadlineMs) return expire("the job's deadline has passed");
  if (last === undefined) {
    const first = { step: 0, round: 0 };
    return call(situation, first, 'next', `first call: ${stepAt(situation.chain, 0).model}`);
  }
  return isFailure(last) ? afterFailure(situation, last) : afterInterruption(situation, last);
}

/** The attempt broke off on our side, which says nothing about the model: it is called again and no retry is used. */
function afterInterruption(situation: Situation, last: PastAttempt): Action {
  const { model } = stepAt(situation.chain, last.step);
  const what =
    last.outcome === 'superseded'
      ? 'superseded: the worker had lost the job before the answer came'
      : 'interrupted: the worker stopped before the answer came';
  if (mayCallNoMore(situation)) return failForCalls(situation, what);
  return call(situation, last, 'retry', `${what}; ${model} again at once`);
}

function afterFailure(situation: Situation, last: PastFailure): Action {
  const { model, on } = stepAt(situation.chain, last.step);
  if (on[last.class] === 'stop') {
    return fail(situation.attempts.length - 1, `${last.class}: the policy ends the job on it`);
  }
  if (mayCallNoMore(situation)) return failForCalls(situation, last.class);
  if (on[last.class] === 'next') return moveOn(situation, last, '');
  if (hasOtherKey(situation.attempts, situation.keyCounts[last.step])) {
    return call(situation, last, 'retry', `${last.class}: ${model} again with another key`);
  }
  switch (ruleFor(situation.chain, last)) {
    case 'wait':
      return waitForModel(situation, last);
    case 'retry':
      return retry(situation, last);
    default:
      return bePatient(situation, last, '');
  }
}

/** The same model again while this round has retries left for it, unless it asks to be left alone for longer than that is worth. */
function retry(situation: Situation, last: PastFailure): Action {
  const { retries } = stepAt(situation.chain, last.step);
  const used = earlierWithRule(situation, last, 'retry');
  if (used >= retries) {
    return bePatient(situation, last, retries > 0 ? `${retries} of ${retries} retries used; ` : '');
  }
  const askedMs = saneRetryAfterMs(last.retryAfterMs);
  const longestMs = longestRetryMs(situation, last, used);
  if (askedMs > longestMs) {
    return bePatient(situation, last, `no retry, because it asks for ${inWords(askedMs)}; `);
  }
  const pause = Math.min(pauseMs(situation, last, RETRY_BACKOFF, used, last.retryAfterMs), longestMs);
  const untilMs = last.endedAtMs + pause;
  if (!leavesTime(situation.deadlineMs, untilMs)) {
    return moveOn(situation, last, "a retry would come after the job's deadline; ");
  }
  const reason = `${last.class}: retry ${used + 1} of ${retries} in ${inWords(pause)}`;
  return callFrom(situation, untilMs, last, 'retry', reason);
}

/** A retry is not worth a wait longer than its own backoff or the patience, while there is another model to go on to. */
function longestRetryMs(situation: Situation, last: PastFailure, used: number): number {
  if (nextInRound(situation, last) === null) return Infinity;
  const { patienceMs } = stepAt(situation.chain, last.step);
  return Math.max(ceilingMs(RETRY_BACKOFF, used), patienceLeftMs(situation.attempts, patienceMs));
}

/** The policy wants this very model: it is waited for as often as calls and deadline allow, and no retry is used. */
function waitForModel(situation: Situation, last: PastFailure): Action {
  const earlier = earlierWithRule(situation, last, 'wait');
  const pause = pauseMs(situation, last, backoffFor(last), earlier, last.retryAfterMs);
  const untilMs = last.endedAtMs + pause;
  if (!leavesTime(situation.deadlineMs, untilMs)) {
    return moveOn(situation, last, "waiting for it would go past the job's deadline; ");
  }
  const { model } = stepAt(situation.chain, last.step);
  const reason = `${last.class}: the policy waits for ${model}, again in ${inWords(pause)}`;
  return callFrom(situation, untilMs, last, 'wait', reason);
}

/** A model that asks for time gets it while the step's patience lasts, though another could be called; then as `next`. */
function bePatient(situation: Situation, last: PastFailure, note: string): Action {
  const { model, patienceMs } = stepAt(situation.chain, last.step);
  if (patienceMs === 0 || !asksForTime(last) || nextInRound(situation, last) === null) {
    return moveOn(situation, last, note);
  }
  const leftMs = patienceLeftMs(situation.attempts, patienceMs);
  if (leftMs <= 0 || saneRetryAfterMs(last.retryAfterMs) > leftMs) {
    return moveOn(situation, last, `${note}the patience of ${inWords(patienceMs)} does not reach; `);
  }
  const earlier = earlierHere(situation, last, asksForTime);
  const pause = Math.min(pauseMs(situation, last, backoffFor(last), earlier, last.retryAfterMs), leftMs);
  const untilMs = last.endedAtMs + pause;
  if (!leavesTime(situation.deadlineMs, untilMs)) {
    return moveOn(situation, last, `${note}waiting for it would go past the job's deadline; `);
  }
  const used = `${inWords(patienceMs - leftMs + pause)} of the patience of ${inWords(patienceMs)} used by then`;
  const reason = `${last.class}: ${note}waits for ${model}, again in ${inWords(pause)}; ${used}`;
  return callFrom(situation, untilMs, last, 'wait', reason);
}

/** The next step of this round, at once: what lies behind a failed model is not held up by it. */
function moveOn(situation: Situation, last: PastFailure, note: string): Action {
  const step = nextInRound(situation, last);
  if (step === null) return anotherRound(situation, last, note);
  const { model } = stepAt(situation.chain, step);
  const reason = `${last.class}: ${note}on to ${model}${passedOver(situation, last.step + 1, step)}`;
  return call(situation, { step, round: last.round }, 'next', reason);
}

/** The chain is through: the job waits for the first model that can heal, or ends. */
function anotherRound(situation: Situation, last: PastFailure, note: string): Action {
  const { chain, attempts, nowMs } = situation;
  const inRound = attempts.filter((attempt) => attempt.round === last.round);
  // A round in which nothing could be called was not tried: it begins again, and only the deadline bounds how often.
  const tried = inRound.some(wasCalled);
  const walksHere = tried ? 1 : inRound.filter((attempt) => attempt.step === last.step).length;
  const round = tried ? last.round + 1 : last.round;

  const failures = lastFailures(attempts);
  const opener = failures.reduce(openerOf);
  const earlier = last.round + walksHere - 1;
  const asked = pauseMs(situation, last, backoffFor(opener), earlier, openFromMs(opener) - last.endedAtMs);
  // A turn at a limit of ours is a guess. A job is not failed on a guess: it asks again in the time that it has.
  const isTooFar = isTurn(opener) && !leavesTime(situation.deadlineMs, last.endedAtMs + asked);
  const pause = isTooFar ? Math.ceil((situation.deadlineMs - last.endedAtMs) / 2) : asked;
  const untilMs = last.endedAtMs + pause;
  const isOpen = (failure: PastFailure) => openFromMs(failure) <= Math.max(nowMs, untilMs);
  const first = failures.find(isOpen) ?? (isTooFar ? opener : undefined);

  const where = `in round ${last.round + 1} of ${chain.rounds}`;
  const soFar = `${last.class}: ${note}${tried ? 'no model is left' : 'no model could be called'} ${where}`;
  if (first === undefined) return fail(lastReal(attempts), `${soFar}, and none of the failures can heal`);
  if (round >= chain.rounds) return fail(lastReal(attempts), `${soFar}, which was the last`);
  if (!leavesTime(situation.deadlineMs, untilMs)) {
    return fail(lastReal(attempts), `${soFar}; the next possible call would be after the job's deadline`);
  }
  const { model } = stepAt(chain, first.step);
  const begins = `${tried ? `round ${round + 1} begins` : 'it begins again'} with ${model} in ${inWords(pause)}`;
  const reason = `${soFar}; ${begins} because ${first.class} can heal${passedOver(situation, 0, first.step)}`;
  return callFrom(situation, untilMs, { step: first.step, round }, 'wait', reason);
}

function call(situation: Situation, { step, round }: Place, decision: Decision, reason: string): Action {
  const { chain, nowMs, deadlineMs } = situation;
  if (!leavesTime(deadlineMs, nowMs)) return expire("the job's deadline is too near for another call");
  const timeoutMs = Math.min(stepAt(chain, step).timeoutMs, longestCallMs(deadlineMs, nowMs));
  return { type: 'call', step, round, timeoutMs, decision, reason };
}

/** Call once `untilMs` has come, or room was made, with the same decision and reason before and after. */
function callFrom(
  situation: Situation,
  untilMs: number,
  place: Place,
  decision: Decision,
  reason: string,
): Action {
  if (situation.nowMs >= untilMs || isRoomAt(situation, place)) {
    return call(situation, place, decision, reason);
  }
  return { type: 'wait', step: place.step, round: place.round, untilMs, decision, reason };
}

function fail(attempt: number, reason: string): Action {
  return { type: 'fail', attempt, decision: 'stop', reason };
}

function failForCalls({ chain, attempts }: Situation, what: string): Action {
  return fail(lastReal(attempts), `${what}; all calls that the chain allows are made (${chain.maxAttempts})`);
}

function expire(reason: string): Action {
  return { type: 'expire', decision: 'stop', reason };
}

function pauseMs(
  { attempts, deadlineMs, seed }: Situation,
  last: PastFailure,
  backoff: Backoff,
  earlier: number,
  retryAfterMs: number | null,
): number {
  const leftMs = deadlineMs - last.endedAtMs;
  return waitMs({ backoff, earlier, retryAfterMs, leftMs, drawn: draw(seed, attempts.length) });
}
