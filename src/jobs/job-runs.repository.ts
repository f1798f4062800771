import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { Company } from '../storage/group-commit.js';
import { LEASE_SECONDS } from '../storage/lease.js';
import { tableOf, unseen } from '../storage/table-of.js';
import { finishLate, type Note, waiting, writeNotes } from './attempt-notes.repository.js';
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
import { COUNTED_COLUMNS, type CountedJob, recount } from './batch-tallies.repository.js';
import { MAY_RUN } from './dispatch-window.repository.js';
import {
  isUntold,
  type AlsoWrite,
  type EndedByLease,
  type JobEnd,
  QUIET,
  writeEnds,
} from './job-ends.repository.js';

/** A job in the hands of a worker. */
export interface ClaimedJob extends Lease {
  readonly projectId: string;
  readonly chainId: string;
  readonly endpoint: string;
  /** Whether nothing else will belong to its end, as far as can be told: it is a line of a batch, or nobody wants to be told of it. */
  readonly isQuiet: boolean;
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
        select jobs.id, woken from unnest(${unseen(ids, 'uuid')}) as asked (id)
        -- By themselves: whoever looks for them by their status as well reads all that have or had it.
        cross join lateral (
          select id, batch_id, status, due_at, woken from jobs where id = asked.id
          offset 0 for no key update ${waiting(company)}) jobs
        where status = 'queued' and due_at <= now() and ${MAY_RUN}),
      claimed as (
        update jobs set status = 'in_progress', waiting = false, parked_on = null, woken = false, worker = ${worker},
          started_at = coalesce(started_at, now()),
          lease_token = lease_token + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
        from due where jobs.id = any(${unseen(ids, 'uuid')}) and jobs.id = due.id
        returning jobs.id, project_id, chain_id, endpoint, lease_token, expires_at, metadata, step_order, batch_id, webhook_url, due.woken)
      select c.id as "jobId", c.lease_token as token, c.project_id as "projectId", c.chain_id as "chainId", c.endpoint,
        (c.batch_id is not null or ${isUntold('c')}) as "isQuiet", c.metadata, c.step_order as "stepOrder", c.woken as "wasWoken",
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
      // Who has to wait for a lock sees what was written meanwhile only in the next statement: of the attempts as well.
      if (company === 'alone') await lockJobs(trx, ends);
      const jobs = await writeEnds(trx, ends, company);
      return { jobs, bells: await alsoWrite(trx, jobs, { areCounted: true }) };
    });
  }

  /** As {@link end}, `together`, in one statement: those to whose end more belongs are left out. */
  async endQuiet(ends: readonly JobEnd[]): Promise<EndedByLease[]> {
    return writeEnds(this.db, ends, 'together', QUIET);
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
      await sql`update attempts set outcome = null, ended_at = null
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

async function lockJobs(trx: DatabaseOrTransaction, ends: readonly JobEnd[]): Promise<void> {
  await sql`select from jobs where id = any(${ends.map(({ lease }) => lease.jobId)}::uuid[])
    order by id for no key update`.execute(trx);
}

/** Brings the jobs' own columns up to what their attempts say. */
export async function sumUp(trx: DatabaseOrTransaction, jobIds: readonly string[]): Promise<void> {
  await sql`update jobs set ${totalsOf(ALL_ATTEMPTS)} where id = any(${jobIds}::uuid[])`.execute(trx);
}
