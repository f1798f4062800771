/** What the ledger holds of a job's attempts, and the facts that are read from it. */

import { saneRetryAfterMs } from './backoff.js';
import { FAILURES } from './failure.js';
import type { FailureClass, Outcome } from './failure.js';

/** What is known of an attempt that was made for the job: what the ledger holds. */
export interface PastAttempt {
  /** Index into the chain's steps. */
  readonly step: number;
  /** From 0. */
  readonly round: number;
  /** An attempt that still runs has none; `nextAction` is never asked with one. */
  readonly outcome: Outcome;
  /** Set where the outcome is `failed` or `skipped`. */
  readonly class: FailureClass | null;
  readonly retryAfterMs: number | null;
  /** The provider's key that was used; null for none, and for a skipped attempt. */
  readonly keyId: string | null;
  /** When the attempt ended, Unix milliseconds. */
  readonly endedAtMs: number;
}

/** An attempt that failed or was skipped: it always has a class. */
export type PastFailure = PastAttempt & { readonly class: FailureClass };

/** @throws {RangeError} if the attempt failed without a class: a defect of the caller. */
export function isFailure(attempt: PastAttempt): attempt is PastFailure {
  if (attempt.outcome !== 'failed' && attempt.outcome !== 'skipped') return false;
  if (attempt.class === null) throw new RangeError('an attempt failed without a class');
  return true;
}

/** True if the attempt counts as a call: it may have reached the provider. */
export function wasCalled(attempt: PastAttempt): boolean {
  return attempt.outcome !== 'skipped';
}

/** What a provider says of the key that was used and not of the model: another key may be let through. */
const KEY_CLASSES: readonly FailureClass[] = ['unauthorized', 'quota_exhausted', 'rate_limited'];

function isOfKey(failure: PastFailure): boolean {
  return failure.outcome === 'failed' && failure.keyId !== null && KEY_CLASSES.includes(failure.class);
}

/**
 * True if the last attempt failed by its key, and fewer than `keyCount` keys failed at its step in its round. A key that
 * failed here before and was used again is no other key: there was none that was ready, and calling on would be spinning.
 *
 * @param keyCount how many keys the provider of the step has; one where it is not said.
 */
export function hasOtherKey(attempts: readonly PastAttempt[], keyCount = 1): boolean {
  const last = attempts.at(-1);
  if (last === undefined || !isFailure(last) || !isOfKey(last)) return false;
  const here = attempts.filter(({ step, round }) => step === last.step && round === last.round);
  // A call that was broken off on our side says nothing of its key.
  const earlier = new Set(
    here
      .slice(0, -1)
      .filter(isFailure)
      .map(({ keyId }) => keyId),
  );
  earlier.delete(null);
  return !earlier.has(last.keyId) && earlier.size + 1 < keyCount;
}

/**
 * Each step's last failure, in the order of the chain (the order in which the first round meets the steps). Where that is
 * a key's own, what last came of the other keys stands beside it, and of these the failure that is over first counts: one
 * key that was withdrawn does not end what another may do.
 */
export function lastFailures(attempts: readonly PastAttempt[]): PastFailure[] {
  const ofSteps = new Map<number, PastFailure[]>();
  for (const failure of attempts.filter(isFailure)) {
    ofSteps.set(failure.step, [
      ...(ofSteps.get(failure.step) ?? []).filter((earlier) => standsBeside(earlier, failure)),
      failure,
    ]);
  }
  return [...ofSteps.values()].map(standing);
}

/** A key's own failure ends what was known of that key; holding a model back ends nothing; any other ends all. */
function standsBeside(earlier: PastFailure, later: PastFailure): boolean {
  if (earlier.keyId === null) return false;
  return isHeldBack(later) || (isOfKey(later) && earlier.keyId !== later.keyId);
}

/** @param failures of one step, the last of them last; at least one. */
function standing(failures: readonly PastFailure[]): PastFailure {
  return failures.reduce((best, failure) => (isOfKey(failure) ? openerOf(best, failure) : failure));
}

/** True if it was we who did not call the model: a limit of ours, or an open circuit. */
export function isHeldBack({ outcome, class: name }: PastFailure): boolean {
  return outcome === 'skipped' && (name === 'locally_limited' || name === 'circuit_open');
}

/** True if its time is a guess: when it may be the job's turn at a limit of ours. */
export function isTurn(failure: PastFailure): boolean {
  return isHeldBack(failure) && failure.class === 'locally_limited';
}

/** The failure that is over first; of two that are over at once, the later. */
export function openerOf(one: PastFailure, later: PastFailure): PastFailure {
  return openFromMs(one) < openFromMs(later) ? one : later;
}

/** From when on a model that failed so may be called in another round, Unix milliseconds; Infinity for never. */
export function openFromMs(failure: PastFailure): number {
  return FAILURES[failure.class].heals
    ? failure.endedAtMs + saneRetryAfterMs(failure.retryAfterMs)
    : Infinity;
}

/** The failure that the caller is shown: a model's own answer before our reason for not calling one. */
export function lastReal(attempts: readonly PastAttempt[]): number {
  const called = attempts.findLastIndex(({ outcome }) => outcome === 'failed');
  const skipped = attempts.findLastIndex(({ outcome }) => outcome === 'skipped');
  if (called >= 0) return called;
  return skipped >= 0 ? skipped : attempts.length - 1;
}
