/** What the runs of jobs of the backlog write. */
import type { Note } from '../../src/jobs/attempt-notes.repository.js';
import type { FinishedAttempt, NewAttempt } from '../../src/jobs/attempts.repository.js';
import type { JobEnd } from '../../src/jobs/job-ends.repository.js';
import { newUuid } from '../../src/storage/ids.js';

/** The first attempt of a job that was taken once. */
export function newAttempt(jobId: string): Note & { readonly next: NewAttempt } {
  const attempt = { id: newUuid(), index: 0, round: 0, step: 0, model: 'sim/echo', provider: 'sim' };
  return { lease: { jobId, token: 1 }, finished: null, next: { ...attempt, keyId: null, worker: 'w' } };
}

/** The good end of it. */
export function endOf({ lease, next }: ReturnType<typeof newAttempt>): JobEnd {
  const finished: FinishedAttempt = {
    id: next.id,
    step: 0,
    skipped: null,
    outcome: 'succeeded',
    class: null,
    httpStatus: 200,
    message: null,
    sent: true,
    retryAfterMs: null,
    keyId: null,
    usage: null,
    costMicros: null,
    upstreamRequestId: null,
    errorBody: null,
    decision: 'accept',
    decisionReason: 'an answer',
    endedAgoMs: 1,
  };
  const response = { status: 200, requestId: 'req', body: '{}' };
  const ending = { status: 'completed' as const, servedBy: 'sim/echo', errorCode: null, errorMessage: null };
  return { lease, finished, ending: { ...ending, response } };
}
