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
  readonly step: number;
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
  /** How long ago the call ended, in milliseconds. */
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
export function totalsOf(attempts: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(attempt_count, fell_back, input_tokens, output_tokens, total_tokens, cached_input_tokens,
      cache_write_tokens, reasoning_tokens, cost_micros) = (
    select count(*), coalesce(max(step) filter (where outcome is distinct from 'skipped') > 0, false), sum(input_tokens), sum(output_tokens), sum(total_tokens),
      sum(cached_input_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
      case when bool_or(cost_micros is null and (total_tokens is not null or outcome = 'succeeded')) then null
        else sum(cost_micros) end
    from ${attempts})`;
}

/** All attempts of the job whose row is updated. */
export const ALL_ATTEMPTS = sql`attempts where job_id = jobs.id`;

/** The condition under which a lease still holds. */
export function held(lease: Lease): RawBuilder<unknown> {
  return sql`id = ${lease.jobId} and lease_token = ${lease.token} and status = 'in_progress'`;
}

/** A timestamp or an interval as whole milliseconds. */
export function milliseconds(expression: string): RawBuilder<number> {
  return sql<number>`(extract(epoch from ${sql.raw(expression)}) * 1000)::bigint`;
}
