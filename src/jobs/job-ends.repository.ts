import { type RawBuilder, sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import type { Company } from '../storage/group-commit.js';
import type { JobStatus } from '../storage/schema.js';
import { isThere } from '../storage/is-there.js';
import { type Columns, LongTexts, unseen } from '../storage/table-of.js';
import { attemptsWith, inOrder, writingOf } from './attempt-notes.repository.js';
import { type FinishedAttempt, type Lease, milliseconds, totalsOf } from './attempts.repository.js';
import { countFrom, TALLIED_COLUMNS } from './batch-tallies.repository.js';

type EndedStatus = Exclude<JobStatus, 'queued' | 'in_progress'>;

/** How a job ends. */
export interface Ending {
  readonly status: EndedStatus;
  readonly servedBy: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly response: { readonly status: number; readonly requestId: string; readonly body: string } | null;
}

/** The end of a run, and its last attempt if it is not written down as over. */
export interface JobEnd {
  readonly lease: Lease;
  readonly finished: FinishedAttempt | null;
  readonly ending: Ending;
}

/** What is said of a job whose deadline came first, wherever it was met. */
export const EXPIRED = {
  errorCode: 'expired',
  errorMessage: 'The job did not end before its deadline (expires_in).',
} as const;

/** A job that has just ended: what its event tells. */
export interface EndedJob {
  readonly id: string;
  readonly projectId: string;
  readonly status: EndedStatus;
  readonly metadata: Record<string, string>;
  readonly webhookUrl: string | null;
  /** From acceptance to the end. */
  readonly durationMs: number;
  /** The uuid of the batch whose line it is. */
  readonly batchId: string | null;
  /** Whether equal lines of its batch wait for its answer. */
  readonly isShared: boolean;
  /** Whether its project has endpoints, of which some may want to hear of it; of a line only its batch tells. */
  readonly isWatched: boolean;
  /** Grows with each change of what the job is at. */
  readonly version: number;
}

/**
 * Writes what belongs to the same moment as the jobs' end (their events, and their batches' tallies if they are not counted yet), in the
 * same transaction.
 */
export type AlsoWrite = (
  trx: DatabaseOrTransaction,
  ended: readonly EndedJob[],
  how?: { readonly areCounted: boolean },
) => Promise<Bell[]>;

/** A job that a run has ended, by its lease. */
export type EndedByLease = EndedJob & { readonly token: number };

/** Of a job to whose end nothing else belongs: a line whose answer no other one shares, or a job of its own of which nobody is told. */
export const QUIET = sql`case when batch_id is null then ${isUntold('jobs')} else not ${isShared('asked.job_id')} end`;

/**
 * Ends jobs with their last attempts and their responses, and counts those that are lines; as far as the leases hold, and this holds of
 * them as well. Answers those that have ended.
 */
export async function writeEnds(
  db: DatabaseOrTransaction,
  ends: readonly JobEnd[],
  company: Company,
  condition?: RawBuilder<unknown>,
): Promise<EndedByLease[]> {
  const notes = inOrder(ends).map((end) => ({ ...end, next: null }));
  const jobIds = notes.map(({ lease }) => lease.jobId);
  const responses = new LongTexts(notes.map(({ ending }) => ending.response?.body ?? null));
  const { rows } = await sql<EndedByLease>`
    with ${writingOf(notes, company, { ...END_COLUMNS, ...responses.columns }, condition)}, over as (
      update jobs set status = held.status, finished_at = now(), lease_until = null, worker = null,
        served_by = held.served_by, error_code = held.code, error_message = held.why,
        response_status = held.response_status, response_request_id = held.request_no,
        ${totalsOf(attemptsWith(notes))}
      from held where jobs.id = any(${unseen(jobIds, 'uuid')}) and jobs.id = held.job_id
      returning jobs.id, jobs.project_id, jobs.status, metadata, webhook_url, created_at, batch_id, dispatch_no,
        jobs.lease_token, ${TALLIED_COLUMNS}, text_start, text_length
    ), kept as (
      insert into job_responses (job_id, project_id, body)
      select id, project_id, ${responses.text} from over where text_length is not null
    ), counted as (${countFrom(sql`over where batch_id is not null`)})
    select ${ENDED_COLUMNS}, lease_token as token from over jobs`.execute(db);
  return rows;
}

const END_COLUMNS = {
  status: ['text', ({ ending }) => ending.status],
  served_by: ['text', ({ ending }) => ending.servedBy],
  code: ['text', ({ ending }) => ending.errorCode],
  why: ['text', ({ ending }) => ending.errorMessage],
  response_status: ['smallint', ({ ending }) => ending.response?.status ?? null],
  request_no: ['text', ({ ending }) => ending.response?.requestId ?? null],
} satisfies Columns<JobEnd>;

/** What is told of jobs that have just ended. */
export const ENDED_COLUMNS = sql`id, project_id as "projectId", status, metadata, webhook_url as "webhookUrl",
  ${milliseconds('now() - created_at')} as "durationMs", batch_id as "batchId",
  batch_id is not null and ${isShared('jobs.id')} as "isShared",
  batch_id is null and ${isWatched('jobs')} as "isWatched",
  dispatch_no + lease_token as version`;

/** Whether nobody wants to be told of the end of a job that is no line. */
export function isUntold(job: string): RawBuilder<boolean> {
  return sql`(${sql.ref(`${job}.webhook_url`)} is null and not ${isWatched(job)})`;
}

/** Whether the job's project has endpoints, of which some may want to hear of it. */
function isWatched(job: string): RawBuilder<boolean> {
  return isThere(
    sql`from webhook_endpoints where project_id = ${sql.ref(`${job}.project_id`)} and deleted_at is null`,
  );
}

/** Whether another line has the same answer as the job of this id. */
function isShared(id: string): RawBuilder<boolean> {
  return isThere(sql`from jobs other where other.same_as = ${sql.ref(id)}`);
}
