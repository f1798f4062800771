/**
 * The one place where it is decided what a job does next. It reads what has happened and answers; it does nothing.
 *
 * Every answer's `decision` and `reason` depend on the attempts and not on when the question is asked, so a `wait`
 * and the `call` after it say the same, and an old answer can be had again by asking again. (Only a job that is asked
 * about later than it wanted may find a model nearer to the head of its chain that is open again.)
 */

import { type Backoff, draw, RETRY_BACKOFF, ROUND_BACKOFF, waitMs } from './backoff.js';
import type { Chain, Step } from './chain.js';
import { type Decision, FAILURES, type RuleDecision } from './failure.js';
import {
  isFailure,
  lastFailures,
  lastReal,
  openFromMs,
  type PastAttempt,
  type PastFailure,
  wasCalled,
} from './history.js';

export type { PastAttempt } from './history.js';

/** Everything that the next step of a job depends on. */
export interface Situation {
  readonly chain: Chain;
  /** In the order in which they were made. */
  readonly attempts: readonly PastAttempt[];
  readonly nowMs: number;
  /** The job ends here, whatever happens; Unix milliseconds. */
  readonly deadlineMs: number;
  /** Any 32-bit number that is the job's own for life: jitter is drawn from it and the attempts' count, so an answer can be replayed. */
  readonly seed: number;
  /** How many keys the provider of each step has, by step; a step that is missing has one. */
  readonly keyCounts: readonly number[];
  /** True if the job was called before its time because there is room again at the model that it waits for. */
  readonly isRoom: boolean;
}

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

/** A call that could not last this long is not worth making. */
const SHORTEST_CALL_MS = 50;

/** A place in the walk: which step, in which round. */
interface Place {
  readonly step: number;
  readonly round: number;
}

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
  const rule = ruleFor(situation.chain, last);
  if (rule === 'stop') {
    return fail(situation.attempts.length - 1, `${last.class}: the policy ends the job on it`);
  }
  if (mayCallNoMore(situation)) return failForCalls(situation, last.class);
  switch (rule) {
    case 'retry':
      return retry(situation, last);
    case 'wait':
      return waitForModel(situation, last);
    case 'next':
      return moveOn(situation, last, '');
  }
}

/** The same model again while this round has retries left for it; then as `next`. */
function retry(situation: Situation, last: PastFailure): Action {
  const { retries } = stepAt(situation.chain, last.step);
  const used = earlierWithRule(situation, last, 'retry');
  if (used >= retries) {
    return moveOn(situation, last, retries > 0 ? `${retries} of ${retries} retries used; ` : '');
  }
  const pause = pauseMs(situation, last, RETRY_BACKOFF, used, last.retryAfterMs);
  const untilMs = last.endedAtMs + pause;
  if (!leavesTime(situation, untilMs)) {
    return moveOn(situation, last, "a retry would come after the job's deadline; ");
  }
  const reason = `${last.class}: retry ${used + 1} of ${retries} in ${inWords(pause)}`;
  return callFrom(situation, untilMs, last, 'retry', reason);
}

/** The policy wants this very model: it is waited for as often as calls and deadline allow, and no retry is used. */
function waitForModel(situation: Situation, last: PastFailure): Action {
  const earlier = earlierWithRule(situation, last, 'wait');
  const pause = pauseMs(situation, last, ROUND_BACKOFF, earlier, last.retryAfterMs);
  const untilMs = last.endedAtMs + pause;
  if (!leavesTime(situation, untilMs)) {
    return moveOn(situation, last, "waiting for it would go past the job's deadline; ");
  }
  const { model } = stepAt(situation.chain, last.step);
  const reason = `${last.class}: the policy waits for ${model}, again in ${inWords(pause)}`;
  return callFrom(situation, untilMs, last, 'wait', reason);
}

/** The next step of this round, at once: what lies behind a failed model is never held up by it. */
function moveOn(situation: Situation, last: PastFailure, note: string): Action {
  const from = last.step + 1;
  // As things stood when the attempt ended: a later question must not find a step that a `wait` had given up.
  const shut = new Set(
    lastFailures(situation.attempts)
      .filter((failure) => openFromMs(failure) > last.endedAtMs)
      .map(({ step }) => step),
  );
  const step = situation.chain.steps.findIndex((_, index) => index >= from && !shut.has(index));
  if (step < 0) return anotherRound(situation, last, note);
  const { model } = stepAt(situation.chain, step);
  const reason = `${last.class}: ${note}on to ${model}${passedOver(situation, from, step)}`;
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
  const earliestMs = Math.min(...failures.map(openFromMs));
  const pause = pauseMs(
    situation,
    last,
    ROUND_BACKOFF,
    last.round + walksHere - 1,
    earliestMs - last.endedAtMs,
  );
  const untilMs = last.endedAtMs + pause;
  const first = failures.find((failure) => openFromMs(failure) <= Math.max(nowMs, untilMs));

  const where = `in round ${last.round + 1} of ${chain.rounds}`;
  const soFar = `${last.class}: ${note}${tried ? 'no model is left' : 'no model could be called'} ${where}`;
  if (first === undefined) return fail(lastReal(attempts), `${soFar}, and none of the failures can heal`);
  if (round >= chain.rounds) return fail(lastReal(attempts), `${soFar}, which was the last`);
  if (!leavesTime(situation, untilMs)) {
    return fail(lastReal(attempts), `${soFar}; the next possible call would be after the job's deadline`);
  }
  const { model } = stepAt(chain, first.step);
  const begins = `${tried ? `round ${round + 1} begins` : 'it begins again'} with ${model} in ${inWords(pause)}`;
  const reason = `${soFar}; ${begins} because ${first.class} can heal${passedOver(situation, 0, first.step)}`;
  return callFrom(situation, untilMs, { step: first.step, round }, 'wait', reason);
}

function call(situation: Situation, { step, round }: Place, decision: Decision, reason: string): Action {
  const longestMs = longestCallMs(situation, situation.nowMs);
  if (longestMs < SHORTEST_CALL_MS) return expire("the job's deadline is too near for another call");
  const timeoutMs = Math.min(stepAt(situation.chain, step).timeoutMs, longestMs);
  return { type: 'call', step, round, timeoutMs, decision, reason };
}

/** Call once `untilMs` has come, with the same decision and reason before and after. */
function callFrom(
  situation: Situation,
  untilMs: number,
  place: Place,
  decision: Decision,
  reason: string,
): Action {
  if (situation.nowMs >= untilMs) return call(situation, place, decision, reason);
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

function stepAt(chain: Chain, index: number): Step {
  const step = chain.steps[index];
  if (step === undefined) throw new RangeError(`step ${index} of a chain of ${chain.steps.length}`);
  return step;
}

function ruleFor(chain: Chain, failure: PastFailure): RuleDecision {
  return stepAt(chain, failure.step).on[failure.class] ?? FAILURES[failure.class].rule;
}

function mayCallNoMore({ chain, attempts }: Situation): boolean {
  return attempts.filter(wasCalled).length >= chain.maxAttempts;
}

/** How often the same rule was followed for this step and round before `last`. */
function earlierWithRule({ chain, attempts }: Situation, last: PastFailure, rule: RuleDecision): number {
  const same = attempts.filter(({ step, round }) => step === last.step && round === last.round);
  return same.filter(isFailure).filter((failure) => ruleFor(chain, failure) === rule).length - 1;
}

/** A call's end stays clear of the job's: of two equal deadlines the outer one would win, and the answer be lost. */
function longestCallMs({ deadlineMs }: Situation, atMs: number): number {
  const leftMs = deadlineMs - atMs;
  return Math.floor(leftMs - Math.min(1_000, leftMs / 10));
}

function leavesTime(situation: Situation, atMs: number): boolean {
  return longestCallMs(situation, atMs) >= SHORTEST_CALL_MS;
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

/** Why the steps from `from` up to `to` are not called: their last failures, the first few by name. */
function passedOver({ chain, attempts }: Situation, from: number, to: number): string {
  const failures = lastFailures(attempts).filter(({ step }) => step >= from && step < to);
  const named = failures.slice(0, 3).map((failure) => {
    const why = FAILURES[failure.class].heals ? `${failure.class}, asked for more time` : failure.class;
    return `${stepAt(chain, failure.step).model} (${why})`;
  });
  if (failures.length > named.length) named.push(`${failures.length - named.length} more`);
  return named.length > 0 ? `; passed over: ${named.join(', ')}` : '';
}

/** A length of time for people: `840 ms`, `4.2 s`, `12.5 min`, `48 h`. */
function inWords(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  const [unitMs, unit] = ms < 60_000 ? [1_000, 's'] : ms < 3_600_000 ? [60_000, 'min'] : [3_600_000, 'h'];
  return `${Math.round((ms / unitMs) * 10) / 10} ${unit}`;
}
