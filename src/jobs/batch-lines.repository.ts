import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { closeOpenAttempts } from './attempts.repository.js';
import { count } from './batch-tallies.repository.js';
import type { EndedJob } from './job-ends.repository.js';
import { sumUp } from './job-runs.repository.js';
import { CANCEL_CHANNEL } from './jobs.repository.js';
import { ringAnew } from './line-dispatch.repository.js';

/** The batch that lines belong to, as far as their jobs need it. */
export interface LinesOf {
  readonly batchId: string;
  readonly projectId: string;
  readonly endpoint: string;
  readonly priority: number;
  readonly expiresAt: Date;
}

/** A line that becomes a job. */
export interface NewLine {
  /** The job's uuid; in the order of the lines. */
  readonly id: string;
  /** Its number in the input, from 1. */
  readonly line: number;
  readonly customId: string;
  readonly model: string;
  readonly policy: { readonly name: string; readonly version: number } | null;
  readonly chainId: string;
  /** JSON on one line, in UTF-8. */
  readonly request: Buffer;
}

/** Why a whole batch's jobs were cancelled, as each of them tells it. */
export interface CancelReason {
  readonly code: string | null;
  readonly message: string | null;
}

/** The SQL that makes a batch's jobs, lets them run, shares answers among them and ends them all at once. */
@Injectable()
export class BatchLinesRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Makes jobs of lines. None of them runs before the batch is opened. */
  async insert(trx: DatabaseOrTransaction, of: LinesOf, lines: readonly NewLine[]): Promise<void> {
    await sql`
      with lines as (
        select * from unnest(
          ${lines.map((each) => each.id)}::uuid[], ${lines.map((each) => each.line)}::int[],
          ${lines.map((each) => each.customId)}::text[], ${lines.map((each) => each.model)}::text[],
          ${lines.map((each) => each.policy?.name ?? null)}::text[],
          ${lines.map((each) => each.policy?.version ?? null)}::int[],
          ${lines.map((each) => each.chainId)}::uuid[],
          -- As one value: to quote megabytes into an array and out of it again takes longer than all the rest, and text is
          -- copied on its way where bytes are not.
          string_to_array(convert_from(${joined(lines.map((each) => each.request))}::bytea, 'UTF8'), chr(10))
        ) as t (id, line, custom_id, model, policy_name, policy_version, chain_id, body)
      ), accepted as (
        insert into jobs (id, project_id, endpoint, model, policy_name, policy_version, chain_id, priority, metadata,
          batch_id, custom_id, line, expires_at, request_bytes)
        select id, ${of.projectId}::uuid, ${of.endpoint}, model, policy_name, policy_version, chain_id,
          ${of.priority}::smallint, '{}', ${of.batchId}::uuid, custom_id, line, ${of.expiresAt}::timestamptz,
          octet_length(body)
        from lines
      )
      insert into job_requests (job_id, project_id, body) select id, ${of.projectId}::uuid, body from lines
    `.execute(trx);
  }

  /** Which of these custom ids are lines of the batch already. */
  async customIdsAmong(batchId: string, customIds: readonly string[]): Promise<Set<string>> {
    const { rows } = await sql<{ custom_id: string }>`
      select custom_id from jobs where batch_id = ${batchId} and custom_id = any(${[...customIds]}::text[])`.execute(
      this.db,
    );
    return new Set(rows.map((row) => row.custom_id));
  }

  /** Of equal requests only the first is left to run; the others share its answer. */
  async shareEqual(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    await sql`
      with first as (
        select id, first_value(id) over (partition by sha256(convert_to(body, 'UTF8')) order by id) as same_as
        from jobs join job_requests on job_requests.job_id = jobs.id where batch_id = ${batchId}
      )
      update jobs set same_as = first.same_as from first
      where jobs.id = first.id and first.same_as <> first.id`.execute(trx);
  }

  /** Lets a batch's jobs run, for the first time. */
  async open(trx: DatabaseOrTransaction, of: LinesOf): Promise<void> {
    await sql`
      insert into batch_runs (batch_id, project_id, priority, is_open)
      values (${of.batchId}, ${of.projectId}, ${of.priority}, true)`.execute(trx);
  }

  /** Lets a batch's jobs run again. */
  async reopen(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    await sql`update batch_runs set is_open = true where batch_id = ${batchId}`.execute(trx);
    await ringAnew(trx, batchId);
  }

  /** Lets none of a batch's jobs begin from now on; those that run go on. */
  async close(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    await sql`update batch_runs set is_open = false where batch_id = ${batchId}`.execute(trx);
  }

  /** Whether the batch has jobs. */
  async exist(trx: DatabaseOrTransaction, batchId: string): Promise<boolean> {
    const { rows } = await sql`select from jobs where batch_id = ${batchId} limit 1`.execute(trx);
    return rows.length > 0;
  }

  /** Removes jobs of a batch of which none ever ran; answers how many. */
  async drop(batchId: string, limit: number): Promise<number> {
    const { numAffectedRows } = await sql`
      delete from jobs where id in (select id from jobs where batch_id = ${batchId} limit ${limit})`.execute(
      this.db,
    );
    // Some may have ended all the same, past their deadline.
    await sql`delete from batch_tallies where batch_id = ${batchId}`.execute(this.db);
    return Number(numAffectedRows ?? 0n);
  }

  /**
   * Ends all that is left of a batch in one statement, and stops what runs of it. No event is told of a line: the batch's
   * own tells it.
   */
  async cancelAll(trx: DatabaseOrTransaction, batchId: string, reason: CancelReason): Promise<void> {
    // In the order of their ids, as all who lock many jobs do.
    await sql`select from jobs where batch_id = ${batchId} and status in ('queued', 'in_progress')
      order by id for no key update`.execute(trx);
    const { rows } = await sql<{ id: string }>`
      select id from jobs where batch_id = ${batchId} and status = 'in_progress'`.execute(trx);
    const running = rows.map((row) => row.id);
    if (running.length > 0) {
      await closeOpenAttempts(trx, running, 'cancelled', 'the batch was cancelled');
      await sumUp(trx, running);
      await sql`select pg_notify(${CANCEL_CHANNEL}, id::text) from unnest(${running}::uuid[]) as t (id)`.execute(
        trx,
      );
    }
    const { rows: ended } = await sql<{ id: string }>`
      update jobs set status = 'cancelled', finished_at = now(), waiting = false, lease_until = null, worker = null,
        lease_token = lease_token + 1, error_code = ${reason.code}, error_message = ${reason.message}
      where batch_id = ${batchId} and status in ('queued', 'in_progress')
      returning id`.execute(trx);
    if (ended.length === 0) return;
    await count(
      trx,
      ended.map((row) => row.id),
    );
  }
}

/**
 * What the end of these jobs, lines of batches, means for their batches, in the same transaction: equal lines that wait for
 * their answer have it, and all are counted but those that are already.
 */
export async function endLines(
  trx: DatabaseOrTransaction,
  ended: readonly EndedJob[],
  areCounted: boolean,
): Promise<void> {
  const shared = ended.filter((job) => job.isShared).map((job) => job.id);
  const followers = shared.length === 0 ? [] : await shareAnswers(trx, shared);
  const ids = [...(areCounted ? [] : ended.map((job) => job.id)), ...followers];
  if (ids.length > 0) await count(trx, ids);
}

/** Lines with a line end between each two. */
function joined(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [LINE_END, line])));
}
const LINE_END = Buffer.from('\n');

async function shareAnswers(trx: DatabaseOrTransaction, jobIds: readonly string[]): Promise<string[]> {
  // A job that was cancelled by itself has no answer to share: the next of its equals runs in its place.
  await sql`
    with heirs as (
      select distinct on (f.same_as) f.same_as, f.id from jobs f join jobs l on l.id = f.same_as
      where f.same_as = any(${[...jobIds]}::uuid[]) and f.status = 'queued' and l.status = 'cancelled'
      order by f.same_as, f.id
    )
    update jobs set same_as = case when jobs.id = heirs.id then null else heirs.id end,
      -- Its turn in the order of the input may be over.
      waiting = jobs.id = heirs.id
    from heirs where jobs.same_as = heirs.same_as and jobs.status = 'queued'`.execute(trx);
  await sql`select from jobs where same_as = any(${[...jobIds]}::uuid[]) and status = 'queued'
    order by id for no key update`.execute(trx);
  const { rows } = await sql<{ id: string }>`
    update jobs set finished_at = now(), cost_micros = 0,
      (status, served_by, error_code, error_message, response_status, response_request_id) = (
        select l.status, l.served_by, l.error_code, l.error_message, l.response_status, l.response_request_id
        from jobs l where l.id = jobs.same_as)
    where same_as = any(${[...jobIds]}::uuid[]) and status = 'queued'
    returning id`.execute(trx);
  return rows.map((row) => row.id);
}
