import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { LEASE_SECONDS } from '../storage/lease.js';
import type { JobStatus } from '../storage/schema.js';
import {
  closeOpenAttempts,
  finishAttempt,
  type FinishedAttempt,
  held,
  insertAttempt,
  type Lease,
  type LedgerAttempt,
  ledgerOf,
  milliseconds,
  type NewAttempt,
  totalsOf,
} from './attempts.repository.js';
import { COUNTED_COLUMNS, type CountedJob, recount } from './batch-tallies.repository.js';
import { MAY_RUN } from './job-dispatch.repository.js';

/** A job in the hands of a worker. */
export interface ClaimedJob extends Lease {
  readonly projectId: string;
  readonly chainId: string;
  readonly endpoint: string;
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

/** Writes what belongs to the same moment as the jobs' end (their events), in the same transaction. */
export type AlsoWrite = (trx: DatabaseOrTransaction, ended: readonly EndedJob[]) => Promise<Bell[]>;

/** The SQL of running jobs: claims, attempts, ends, leases. All times are the database's. */
@Injectable()
export class JobRunsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Takes the job; null if it is not there to be taken: ended, running, not due, of a batch that is paused. */
  async claim(jobId: string, worker: string): Promise<ClaimedJob | null> {
    const { rows } = await sql<ClaimedJob>`
      with due as (
        select id, woken from jobs where id = ${jobId} and status = 'queued' and due_at <= now() and ${MAY_RUN}
        for no key update),
      claimed as (
        update jobs set status = 'in_progress', waiting = false, parked_on = null, woken = false, worker = ${worker},
          started_at = coalesce(started_at, now()),
          lease_token = lease_token + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
        from due where jobs.id = due.id
        returning jobs.id, project_id, chain_id, endpoint, lease_token, expires_at, metadata, step_order, due.woken)
      select c.id as "jobId", c.lease_token as token, c.project_id as "projectId", c.chain_id as "chainId", c.endpoint,
        c.metadata, c.step_order as "stepOrder", c.woken as "wasWoken", r.body as request, ${milliseconds('c.expires_at')} as "expiresAtMs", ${milliseconds('now()')} as "databaseNowMs"
      from claimed c join job_requests r on r.job_id = c.id`.execute(this.db);
    return rows[0] ?? null;
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

  /** Writes the attempt down before its call is made; false if the lease is lost: then the call must not be made. */
  async begin(lease: Lease, attempt: NewAttempt): Promise<boolean> {
    return insertAttempt(this.db, lease, attempt);
  }

  /** Finishes one attempt and begins the next; false if the lease is lost. */
  async passOn(lease: Lease, finished: FinishedAttempt, next: NewAttempt): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      if (!(await insertAttempt(trx, lease, next))) return false;
      await finishAttempt(trx, lease, finished);
      return true;
    });
  }

  /** Finishes an attempt while its job goes on; false if somebody else has: the lease is lost. */
  async finish(lease: Lease, finished: FinishedAttempt): Promise<boolean> {
    return finishAttempt(this.db, lease, finished);
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
      const { rows } = await sql`select 1 from jobs where ${held(lease)} for no key update`.execute(trx);
      if (rows.length === 0) return false;
      if (finished) await finishAttempt(trx, lease, finished);
      await sql`
        update jobs set status = 'queued', waiting = true, dispatch_no = dispatch_no + 1, rung_at = null,
          lease_until = null, worker = null, parked_on = ${parkedOn},
          due_at = least(now() + make_interval(secs => ${delayMs / 1000}), expires_at), ${totalsOf(sql`jobs.id`)}
        where ${held(lease)}`.execute(trx);
      return true;
    });
  }

  /**
   * Ends the job with its last attempt, its response and its events in one transaction. Null if the lease is lost:
   * then nothing is written.
   */
  async end(
    lease: Lease,
    finished: FinishedAttempt | null,
    ending: Ending,
    alsoWrite: AlsoWrite,
  ): Promise<{ job: EndedJob; bells: Bell[] } | null> {
    return this.db.transaction().execute(async (trx) => {
      const { rows: locked } = await sql`select 1 from jobs where ${held(lease)} for no key update`.execute(
        trx,
      );
      if (locked.length === 0) return null;
      if (finished) await finishAttempt(trx, lease, finished);
      const { rows } = await sql<EndedJob>`
        update jobs set status = ${ending.status}, finished_at = now(), lease_until = null, worker = null,
          served_by = ${ending.servedBy}, error_code = ${ending.errorCode}, error_message = ${ending.errorMessage},
          response_status = ${ending.response?.status ?? null}, response_request_id = ${ending.response?.requestId ?? null},
          ${totalsOf(sql`jobs.id`)}
        where ${held(lease)}
        returning ${ENDED_COLUMNS}`.execute(trx);
      const [job] = rows;
      if (!job) return null;
      if (ending.response) {
        const { id, projectId } = job;
        await trx
          .insertInto('job_responses')
          .values({ job_id: id, project_id: projectId, body: ending.response.body })
          .execute();
      }
      return { job, bells: await alsoWrite(trx, [job]) };
    });
  }

  /** Gives the job back at once because this process stops; its open attempt is written down as interrupted. */
  async release(lease: Lease, reason: string): Promise<void> {
    await this.db.transaction().execute(async (trx) => {
      const { numAffectedRows } = await sql`
        update jobs set status = 'queued', dispatch_no = dispatch_no + 1, rung_at = null, due_at = least(due_at, now()),
          lease_until = null, worker = null
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
      await finishAttempt(trx, lease, { ...finished, ...told, outcome: 'superseded' });
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
        from unnest(${leases.map((lease) => lease.jobId)}::uuid[], ${leases.map((lease) => lease.token)}::int[]) as held (id, token)
        join jobs on jobs.id = held.id and jobs.lease_token = held.token and jobs.status = 'in_progress'
        -- In the order in which all who lock many jobs do: else two of them could wait for each other.
        order by jobs.id for no key update of jobs)
      returning id`.execute(this.db);
    return new Set(rows.map((row) => row.id));
  }
}

/** What is told of jobs that have just ended. */
export const ENDED_COLUMNS = sql`id, project_id as "projectId", status, metadata, webhook_url as "webhookUrl",
  ${milliseconds('now() - created_at')} as "durationMs", batch_id as "batchId",
  batch_id is not null and exists (select from jobs other where other.same_as = jobs.id) as "isShared",
  batch_id is null and exists (select from webhook_endpoints where webhook_endpoints.project_id = jobs.project_id
    and deleted_at is null) as "isWatched",
  dispatch_no + lease_token as version`;

/** Brings the jobs' own columns up to what their attempts say. */
export async function sumUp(trx: DatabaseOrTransaction, jobIds: readonly string[]): Promise<void> {
  await sql`update jobs set ${totalsOf(sql`jobs.id`)} where id = any(${jobIds}::uuid[])`.execute(trx);
}
