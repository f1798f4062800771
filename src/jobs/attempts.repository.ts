import { type RawBuilder, sql } from 'kysely';
import type { Usage } from '../routing/call-result.js';
import type { Decision, FailureClass, Outcome } from '../routing/failure.js';
import type { DatabaseOrTransaction } from '../storage/database.js';

/** The right to run a job: every write of a run is guarded by the token, so a worker that lost it can change nothing. */
export interface Lease {
  readonly jobId: string;
  readonly token: number;
}

/** An attempt as the ledger holds it, in the order of `index`. */
export interface LedgerAttempt {
  readonly step: number;
  readonly round: number;
  readonly model: string;
  readonly outcome: Outcome;
  readonly class: FailureClass | null;
  readonly message: string | null;
  readonly httpStatus: number | null;
  readonly upstreamRequestId: string | null;
  readonly errorBody: string | null;
  readonly retryAfterMs: number | null;
  readonly keyId: string | null;
  readonly endedAtMs: number;
}

/** An attempt that is about to be made. */
export interface NewAttempt {
  readonly id: string;
  readonly index: number;
  readonly round: number;
  readonly step: number;
  readonly model: string;
  readonly provider: string;
  /** The provider's key that the call will use; null for a provider without keys. */
  readonly keyId: string | null;
  readonly worker: string;
}

/** What became of an attempt, and what was decided after it. */
export interface FinishedAttempt {
  readonly id: string;
  /** What is to be written of an attempt that was skipped: no call was made, so nothing was written before. */
  readonly skipped: NewAttempt | null;
  readonly outcome: Outcome;
  readonly class: FailureClass | null;
  readonly httpStatus: number | null;
  readonly message: string | null;
  readonly sent: boolean;
  readonly retryAfterMs: number | null;
  readonly keyId: string | null;
  readonly usage: Usage | null;
  readonly costMicros: number | null;
  readonly upstreamRequestId: string | null;
  readonly errorBody: string | null;
  readonly decision: Decision;
  readonly decisionReason: string;
  /** How long ago the call ended, in milliseconds: the record tells the call's own end, not that of the writing. */
  readonly endedAgoMs: number;
}

/** The attempts of a job, in the order in which they were made. */
export async function ledgerOf(db: DatabaseOrTransaction, jobId: string): Promise<LedgerAttempt[]> {
  const { rows } = await sql<LedgerAttempt>`
      select step, round, model, outcome, class, message, http_status as "httpStatus",
        upstream_request_id as "upstreamRequestId", error_body as "errorBody", retry_after_ms as "retryAfterMs",
        key_id as "keyId",
        ${milliseconds('coalesce(ended_at, started_at)')} as "endedAtMs"
      from attempts where job_id = ${jobId} order by index`.execute(db);
  return rows;
}

/**
 * Writes an attempt down before its call is made; false if the lease is lost. Written twice it is there once, so a
 * caller who does not know whether the first writing was committed may write again.
 */
export async function insertAttempt(
  db: DatabaseOrTransaction,
  lease: Lease,
  attempt: NewAttempt,
): Promise<boolean> {
  // The row lock keeps a cancel or the reaper from passing by between the check and the commit.
  const { numAffectedRows } = await sql`
    insert into attempts (id, job_id, project_id, index, round, step, model, provider, key_id, worker, lease_token, started_at)
    select ${attempt.id}::uuid, id, project_id, ${attempt.index}::int, ${attempt.round}::int, ${attempt.step}::int,
      ${attempt.model}, ${attempt.provider}, ${attempt.keyId}, ${attempt.worker}, lease_token, clock_timestamp()
    from jobs where ${held(lease)} for no key update
    on conflict (id) do nothing`.execute(db);
  if (numAffectedRows) return true;
  const { rows } = await sql`
    select 1 from attempts join jobs on jobs.id = attempts.job_id
    where attempts.id = ${attempt.id} and attempts.lease_token = ${lease.token}
      and jobs.lease_token = ${lease.token} and jobs.status = 'in_progress'`.execute(db);
  return rows.length > 0;
}

/**
 * Writes down what became of an attempt. Written twice by the same run it is there once; false if somebody else has
 * written it, or, for one that was skipped, if the lease is lost.
 */
export async function finishAttempt(
  db: DatabaseOrTransaction,
  lease: Lease,
  attempt: FinishedAttempt,
): Promise<boolean> {
  if (attempt.skipped) return insertSkipped(db, lease, attempt, attempt.skipped);
  const { numUpdatedRows } = await db
    .updateTable('attempts')
    .set({
      outcome: attempt.outcome,
      class: attempt.class,
      http_status: attempt.httpStatus,
      message: attempt.message,
      sent: attempt.sent,
      retry_after_ms: attempt.retryAfterMs,
      key_id: attempt.keyId,
      decision: attempt.decision,
      decision_reason: attempt.decisionReason,
      ended_at: sql<Date>`clock_timestamp() - make_interval(secs => ${attempt.endedAgoMs / 1000})`,
      input_tokens: attempt.usage?.inputTokens ?? null,
      output_tokens: attempt.usage?.outputTokens ?? null,
      total_tokens: attempt.usage?.totalTokens ?? null,
      cached_input_tokens: attempt.usage?.cachedInputTokens ?? null,
      cache_write_tokens: attempt.usage?.cacheWriteTokens ?? null,
      reasoning_tokens: attempt.usage?.reasoningTokens ?? null,
      cost_micros: attempt.costMicros,
      upstream_request_id: attempt.upstreamRequestId,
      error_body: attempt.errorBody,
    })
    .where('id', '=', attempt.id)
    .where('outcome', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n || isFinishedBy(db, lease, attempt);
}

/** True if this run has written it already: the word of the commit was lost, and the lease was not. */
async function isFinishedBy(
  db: DatabaseOrTransaction,
  lease: Lease,
  { id, outcome }: FinishedAttempt,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from attempts join jobs on jobs.id = attempts.job_id
    where attempts.id = ${id} and attempts.outcome = ${outcome} and attempts.lease_token = ${lease.token}
      and jobs.lease_token = ${lease.token} and jobs.status = 'in_progress'`.execute(db);
  return rows.length > 0;
}

/** One row, written once: a model that was considered and not called. */
async function insertSkipped(
  db: DatabaseOrTransaction,
  lease: Lease,
  finished: FinishedAttempt,
  attempt: NewAttempt,
): Promise<boolean> {
  const endedAt = sql`clock_timestamp() - make_interval(secs => ${finished.endedAgoMs / 1000})`;
  const { numAffectedRows } = await sql`
    insert into attempts (id, job_id, project_id, index, round, step, model, provider, key_id, worker, lease_token,
      started_at, ended_at, outcome, class, message, sent, retry_after_ms, decision, decision_reason)
    select ${attempt.id}::uuid, id, project_id, ${attempt.index}::int, ${attempt.round}::int, ${attempt.step}::int,
      ${attempt.model}, ${attempt.provider}, null, ${attempt.worker}, lease_token, ${endedAt}, ${endedAt},
      'skipped', ${finished.class}, ${finished.message}, false, ${finished.retryAfterMs}::bigint, ${finished.decision},
      ${finished.decisionReason}
    from jobs where ${held(lease)} for no key update
    on conflict (id) do nothing`.execute(db);
  if (numAffectedRows) return true;
  const { rows } = await sql`select 1 from attempts where id = ${attempt.id}`.execute(db);
  return rows.length > 0;
}

/** Marks what still runs of these jobs as cut off. */
export async function closeOpenAttempts(
  db: DatabaseOrTransaction,
  jobIds: readonly string[],
  outcome: 'interrupted' | 'cancelled',
  reason: string,
): Promise<void> {
  await sql`
    update attempts set outcome = ${outcome}, ended_at = clock_timestamp(), message = ${reason}, sent = true,
      decision = ${outcome === 'interrupted' ? 'retry' : 'stop'}, decision_reason = ${`${outcome}: ${reason}`}
    where job_id = any(${jobIds}::uuid[]) and outcome is null`.execute(db);
}

/**
 * The columns of a job that sum up its attempts; every attempt's tokens and cost count, not only the last one's. The cost is
 * that of all of them or none: null if one that is paid for (it has usage, or it succeeded) has a cost that nobody knows.
 */
export function totalsOf(jobId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(attempt_count, fell_back, input_tokens, output_tokens, total_tokens, cached_input_tokens,
      cache_write_tokens, reasoning_tokens, cost_micros) = (
    select count(*), coalesce(max(step) filter (where outcome is distinct from 'skipped') > 0, false), sum(input_tokens), sum(output_tokens), sum(total_tokens),
      sum(cached_input_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
      case when bool_or(cost_micros is null and (total_tokens is not null or outcome = 'succeeded')) then null
        else sum(cost_micros) end
    from attempts where job_id = ${jobId})`;
}

/** The condition under which a lease still holds. */
export function held(lease: Lease): RawBuilder<unknown> {
  return sql`id = ${lease.jobId} and lease_token = ${lease.token} and status = 'in_progress'`;
}

/** A timestamp or an interval as whole milliseconds. */
export function milliseconds(expression: string): RawBuilder<number> {
  return sql<number>`(extract(epoch from ${sql.raw(expression)}) * 1000)::bigint`;
}
