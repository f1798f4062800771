/** Where a job stands on its chain, and the facts that are read from it. */

import type { Chain, Step } from './chain.js';
import { FAILURES, type RuleDecision } from './failure.js';
import {
  hasOtherKey,
  isFailure,
  isHeldBack,
  lastFailures,
  openFromMs,
  type PastAttempt,
  type PastFailure,
  wasCalled,
} from './history.js';

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

/** A place in the walk: which step, in which round. */
export interface Place {
  readonly step: number;
  readonly round: number;
}

/** @throws {RangeError} if the chain has no such step: a defect of the caller. */
export function stepAt(chain: Chain, index: number): Step {
  const step = chain.steps[index];
  if (step === undefined) throw new RangeError(`step ${index} of a chain of ${chain.steps.length}`);
  return step;
}

/** What the step's policy says of the failure, or else the defaults. */
export function ruleFor(chain: Chain, failure: PastFailure): RuleDecision {
  return stepAt(chain, failure.step).on[failure.class] ?? FAILURES[failure.class].rule;
}

/** True if all calls that the chain allows were made. */
export function mayCallNoMore({ chain, attempts }: Situation): boolean {
  return attempts.filter(wasCalled).length >= chain.maxAttempts;
}

/** How many failures at this step in this round before `last` are of a kind; `index` is theirs among all attempts. */
export function earlierHere(
  { attempts }: Situation,
  last: PastFailure,
  isOfKind: (failure: PastFailure, index: number) => boolean,
): number {
  const isHere = ({ step, round }: PastAttempt): boolean => step === last.step && round === last.round;
  const earlier = attempts.slice(0, -1);
  return earlier.filter((one, index) => isHere(one) && isFailure(one) && isOfKind(one, index)).length;
}

/** How often the same rule was followed here before; a failure that another key took up followed none. */
export function earlierWithRule(situation: Situation, last: PastFailure, rule: RuleDecision): number {
  const { chain, attempts, keyCounts } = situation;
  return earlierHere(
    situation,
    last,
    (failure, index) =>
      ruleFor(chain, failure) === rule && !hasOtherKey(attempts.slice(0, index + 1), keyCounts[last.step]),
  );
}

/** Room was made for what was held back, and for nothing else: a model that failed itself keeps its time. */
export function isRoomAt({ isRoom, attempts }: Situation, place: Place): boolean {
  return (
    isRoom && lastFailures(attempts).some((failure) => failure.step === place.step && isHeldBack(failure))
  );
}

/** The next step of this round that can still be called; null if there is none. */
export function nextInRound({ chain, attempts }: Situation, last: PastFailure): number | null {
  // As things stood when the attempt ended: a later question must not find a step that a `wait` had given up.
  const shut = new Set(
    lastFailures(attempts)
      .filter((failure) => openFromMs(failure) > last.endedAtMs)
      .map(({ step }) => step),
  );
  const step = chain.steps.findIndex((_, index) => index > last.step && !shut.has(index));
  return step < 0 ? null : step;
}
