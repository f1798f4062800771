import { Inject, Injectable } from '@nestjs/common';
import { type RawBuilder, sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { Company } from '../storage/group-commit.js';
import { LEASE_SECONDS } from '../storage/lease.js';
import type { JobStatus } from '../storage/schema.js';
import { type Columns, LongTexts, tableOf } from '../storage/table-of.js';
import {
  attemptsWith,
  finishLate,
  inOrder,
  type Note,
  waiting,
  writeNotes,
  writingOf,
} from './attempt-notes.repository.js';
import {
  ALL_ATTEMPTS,
  closeOpenAttempts,
  type FinishedAttempt,
  held,
  type Lease,
  type LedgerAttempt,
  ledgerOf,
  milliseconds,
  totalsOf,
} from './attempts.repository.js';
import {
  COUNTED_COLUMNS,
  type CountedJob,
  countFrom,
  recount,
  TALLIED_COLUMNS,
} from './batch-tallies.repository.js';
import { MAY_RUN } from './dispatch-window.js';

/** A job in the hands of a worker. */
export interface ClaimedJob extends Lease {
  readonly projectId: string;
  readonly chainId: string;
  readonly endpoint: string;
  /** Whether it is a line of a batch. */
  readonly isLine: boolean;
  /** The caller's body as JSON text. */
  readonly request: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The order in which this job walks its chain, once it is chosen; null before, and for a chain that is walked as it stands. */
  readonly stepOrder: readonly number[] | null;
  /** True if the job was called before its time, because room was made at the model that it waits for. */
  readonly wasWoken: boolean;
  readonly expiresAtMs: number;
  /** What the database's clock said at the claim. */
  readonly databaseNowMs: number;
}

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

/** The SQL of running jobs: claims, attempts, ends, leases. All times are the database's. */
@Injectable()
export class JobRunsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Takes each of these jobs that is there to be taken: not one that has ended, runs, is not due, or is of a batch that is paused.
   * `together`, those that are locked are left out as well.
   */
  async claim(jobIds: readonly string[], worker: string, company: Company): Promise<ClaimedJob[]> {
    const ids = jobIds.toSorted();
    const { rows } = await sql<ClaimedJob>`
      with due as materialized (
        select jobs.id, woken from unnest(${ids}::uuid[]) as asked (id)
        -- By themselves: whoever looks for them by their status as well reads all that have or had it.
        cross join lateral (
          select id, batch_id, status, due_at, woken from jobs where id = asked.id
          offset 0 for no key update ${waiting(company)}) jobs
        where status = 'queued' and due_at <= now() and ${MAY_RUN}),
      claimed as (
        update jobs set status = 'in_progress', waiting = false, parked_on = null, woken = false, worker = ${worker},
          started_at = coalesce(started_at, now()),
          lease_token = lease_token + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
        from due where jobs.id = any(${ids}::uuid[]) and jobs.id = due.id
        returning jobs.id, project_id, chain_id, endpoint, lease_token, expires_at, metadata, step_order, batch_id, due.woken)
      select c.id as "jobId", c.lease_token as token, c.project_id as "projectId", c.chain_id as "chainId", c.endpoint,
        c.batch_id is not null as "isLine", c.metadata, c.step_order as "stepOrder", c.woken as "wasWoken",
        (select body from job_requests where job_id = c.id) as request,
        ${milliseconds('c.expires_at')} as "expiresAtMs", ${milliseconds('now()')} as "databaseNowMs"
      from claimed c`.execute(this.db);
    return rows;
  }

  async attempts(jobId: string): Promise<LedgerAttempt[]> {
    return ledgerOf(this.db, jobId);
  }

  /** Writes down in which order the job walks its chain; false if the lease is lost. */
  async pinOrder(lease: Lease, steps: readonly number[], reason: string): Promise<boolean> {
    const { numAffectedRows } = await sql`
      update jobs set step_order = ${[...steps]}::smallint[], order_reason = ${reason} where ${held(lease)}`.execute(
      this.db,
    );
    return (numAffectedRows ?? 0n) > 0n;
  }

  /** As {@link writeNotes}. An attempt whose note is not written must not be made: its lease is lost. */
  async note(notes: readonly Note[], company: Company): Promise<boolean[]> {
    return writeNotes(this.db, notes, company);
  }

  /**
   * Gives the job back until `delayMs` from now; false if the lease is lost. With `parkedOn` it may be woken before, when
   * there is room at what it waits for.
   */
  async postpone(
    lease: Lease,
    finished: FinishedAttempt | null,
    delayMs: number,
    parkedOn: string | null,
  ): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      const [isHeld] = await writeNotes(trx, [{ lease, finished, next: null }], 'alone');
      if (isHeld !== true) return false;
      await sql`
        update jobs set status = 'queued', waiting = true, dispatch_no = dispatch_no + 1, rung_at = null,
          lease_until = null, worker = null, parked_on = ${parkedOn},
          due_at = least(now() + make_interval(secs => ${delayMs / 1000}), expires_at), ${totalsOf(ALL_ATTEMPTS)}
        where ${held(lease)}`.execute(trx);
      return true;
    });
  }

  /**
   * Ends jobs with their last attempts, their responses and their events in one transaction. Of a job whose lease is lost nothing is
   * written; `together`, those that are locked are left out as well. Answers the others, in no order.
   */
  async end(
    ends: readonly JobEnd[],
    company: Company,
    alsoWrite: AlsoWrite,
  ): Promise<{ jobs: EndedByLease[]; bells: Bell[] }> {
    return this.db.transaction().execute(async (trx) => {
      const jobs = await writeEnds(trx, ends, company);
      return { jobs, bells: await alsoWrite(trx, jobs, { areCounted: true }) };
    });
  }

  /** As {@link end}, `together`, of lines of batches. Nothing else belongs to their end but that those whose answer is shared are left out. */
  async endLines(ends: readonly JobEnd[]): Promise<EndedByLease[]> {
    return writeEnds(this.db, ends, 'together', NOT_SHARED);
  }

  /** Gives the job back at once because this process stops; its open attempt is written down as interrupted. */
  async release(lease: Lease, reason: string): Promise<void> {
    await this.db.transaction().execute(async (trx) => {
      const { numAffectedRows } = await sql`
        update jobs set status = 'queued', dispatch_no = dispatch_no + 1, rung_at = null, due_at = least(due_at, now()),
          -- A line's turn in the order of the input is over.
          waiting = batch_id is not null, lease_until = null, worker = null
        where ${held(lease)}`.execute(trx);
      if (!numAffectedRows) return;
      await closeOpenAttempts(trx, [lease.jobId], 'interrupted', reason);
      await sumUp(trx, [lease.jobId]);
    });
  }

  /**
   * Writes a late result on its own attempt: its job went on without it, and is touched only in its totals, because
   * the tokens were paid for all the same.
   */
  async supersede(lease: Lease, finished: FinishedAttempt): Promise<void> {
    const { jobId } = lease;
    await this.db.transaction().execute(async (trx) => {
      // The job's row first, as everywhere: two orders of locking would meet in a deadlock.
      const { rows } = await sql<CountedJob & { isForgotten: boolean }>`
        select ${COUNTED_COLUMNS}, forgotten_at is not null as "isForgotten" from jobs
        where id = ${jobId} for no key update`.execute(trx);
      const [before] = rows;
      await sql`update attempts set outcome = null
        where id = ${finished.id} and outcome in ('interrupted', 'cancelled')`.execute(trx);
      // What a provider said of a job whose bodies are forgotten is not written down any more.
      const told = before?.isForgotten === true ? { message: null, errorBody: null } : {};
      await finishLate(trx, lease, { ...finished, ...told, outcome: 'superseded' });
      await sumUp(trx, [jobId]);
      if (before?.batchId && before.isEnded) await recount(trx, before);
    });
  }

  /** Renews leases; answers the ids of those that are still held. */
  async renew(leases: readonly Lease[]): Promise<Set<string>> {
    const { rows } = await sql<{ id: string }>`
      update jobs set lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      where id in (
        select jobs.id
        from ${tableOf('held', leases, { id: ['uuid', ({ jobId }) => jobId], token: ['int', ({ token }) => token] })}
        join jobs on jobs.id = held.id and jobs.lease_token = held.token and jobs.status = 'in_progress'
        -- In the order in which all who lock many jobs do: else two of them could wait for each other.
        order by jobs.id for no key update of jobs)
      returning id`.execute(this.db);
    return new Set(rows.map((row) => row.id));
  }
}

/** A job that a run has ended, by its lease. */
export type EndedByLease = EndedJob & { readonly token: number };

const NOT_SHARED = sql`not exists (select from jobs other where other.same_as = asked.job_id)`;

async function writeEnds(
  db: DatabaseOrTransaction,
  ends: readonly JobEnd[],
  company: Company,
  condition?: RawBuilder<unknown>,
): Promise<EndedByLease[]> {
  const notes = inOrder(ends).map((end) => ({ ...end, next: null }));
  const responses = new LongTexts(notes.map(({ ending }) => ending.response?.body ?? null));
  const { rows } = await sql<EndedByLease>`
    with ${writingOf(notes, company, { ...END_COLUMNS, ...responses.columns }, condition)}, over as (
      update jobs set status = held.status, finished_at = now(), lease_until = null, worker = null,
        served_by = held.served_by, error_code = held.code, error_message = held.why,
        response_status = held.response_status, response_request_id = held.request_no,
        ${totalsOf(attemptsWith(notes))}
      from held where jobs.id = any(${notes.map(({ lease }) => lease.jobId)}::uuid[]) and jobs.id = held.job_id
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
  batch_id is not null and exists (select from jobs other where other.same_as = jobs.id) as "isShared",
  batch_id is null and exists (select from webhook_endpoints where webhook_endpoints.project_id = jobs.project_id
    and deleted_at is null) as "isWatched",
  dispatch_no + lease_token as version`;

/** Brings the jobs' own columns up to what their attempts say. */
export async function sumUp(trx: DatabaseOrTransaction, jobIds: readonly string[]): Promise<void> {
  await sql`update jobs set ${totalsOf(ALL_ATTEMPTS)} where id = any(${jobIds}::uuid[])`.execute(trx);
}
