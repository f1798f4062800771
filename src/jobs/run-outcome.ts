import type { CallResult } from '../routing/call-result.js';
import type { Action } from '../routing/next-action.js';
import { toPublicId } from '../storage/ids.js';
import type { FinishedAttempt, LedgerAttempt, NewAttempt } from './attempts.repository.js';
import { type Ending, EXPIRED } from './job-ends.repository.js';

/** An attempt that is over, and not yet written down as finished: the decision after it is still to come. */
export interface OpenAttempt {
  readonly attempt: NewAttempt;
  readonly result: CallResult;
  /** True if no call was made; then nothing of it is written yet. */
  readonly isSkip: boolean;
  /** By `performance.now()`. */
  readonly endedMs: number;
}

/** How the ledger and the metrics name it. */
export function outcomeOf({ result, isSkip }: OpenAttempt): 'succeeded' | 'failed' | 'skipped' {
  if (isSkip) return 'skipped';
  return result.ok ? 'succeeded' : 'failed';
}

/** The finished call as the core will see it. */
export function toLedger(open: OpenAttempt): LedgerAttempt {
  const { attempt, result } = open;
  return {
    step: attempt.step,
    round: attempt.round,
    model: attempt.model,
    outcome: outcomeOf(open),
    class: result.ok ? null : result.class,
    message: result.ok ? null : result.message,
    httpStatus: result.httpStatus,
    upstreamRequestId: result.upstreamRequestId,
    errorBody: result.ok ? null : result.body,
    retryAfterMs: result.ok ? null : result.retryAfterMs,
    keyId: result.keyId,
    endedAtMs: Date.now(),
  };
}

/** What is written of the finished attempt, with what was decided after it. */
export function toFinished(open: OpenAttempt, decided: Pick<Action, 'decision' | 'reason'>): FinishedAttempt {
  const { result } = open;
  return {
    id: open.attempt.id,
    step: open.attempt.step,
    skipped: open.isSkip ? open.attempt : null,
    outcome: outcomeOf(open),
    class: result.ok ? null : result.class,
    httpStatus: result.httpStatus,
    message: result.ok ? null : result.message,
    sent: result.ok || result.sent,
    retryAfterMs: result.ok ? null : result.retryAfterMs,
    keyId: result.keyId,
    usage: result.usage,
    costMicros: result.costMicros,
    upstreamRequestId: result.upstreamRequestId,
    errorBody: result.ok ? null : result.body,
    decision: decided.decision,
    decisionReason: decided.reason,
    endedAgoMs: performance.now() - open.endedMs,
  };
}

/** How the job ends. Throws when a success is told without an answer: a defect. */
export function toEnding(
  action: Extract<Action, { type: 'succeed' | 'fail' | 'expire' }>,
  past: readonly LedgerAttempt[],
  open: OpenAttempt | null,
): Ending {
  if (action.type === 'succeed') {
    // Success is decided right after the call, so its answer is in this process's hands.
    if (!open?.result.ok) throw new Error('A job can succeed only with an answer in hand');
    const { attempt, result } = open;
    const requestId = result.upstreamRequestId ?? toPublicId('req', attempt.id);
    return {
      status: 'completed',
      servedBy: attempt.model,
      errorCode: null,
      errorMessage: null,
      response: { status: result.httpStatus, requestId, body: result.body },
    };
  }
  if (action.type === 'expire') return { status: 'expired', servedBy: null, ...EXPIRED, response: null };
  const last = past[action.attempt];
  return {
    status: 'failed',
    servedBy: null,
    errorCode: last?.class ?? 'interrupted',
    errorMessage: `${last?.model ?? 'The chain'}: ${last?.message ?? action.reason}`,
    response:
      last && last.httpStatus !== null && last.errorBody !== null
        ? { status: last.httpStatus, requestId: last.upstreamRequestId ?? '', body: asJson(last.errorBody) }
        : null,
  };
}

/** A provider's error body as JSON text: itself when it is JSON, else as a string. */
function asJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
