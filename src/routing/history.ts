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

/** Each step's last failure, in the order of the chain (the order in which the first round meets the steps). */
export function lastFailures(attempts: readonly PastAttempt[]): PastFailure[] {
  return [...new Map(attempts.filter(isFailure).map((failure) => [failure.step, failure])).values()];
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
