import { type RawBuilder, sql } from 'kysely';
import type { Usage } from '../routing/call-result.js';
import type { Decision, FailureClass, Outcome } from '../routing/failure.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import type { Company } from '../storage/group-commit.js';
import { type Column, tableOf } from '../storage/table-of.js';

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

/** What a run writes of its attempts in one step: the one that is over, the one that is about to be made, or both; or just holds its job. */
export interface Note {
  readonly lease: Lease;
  readonly finished: FinishedAttempt | null;
  readonly next: NewAttempt | null;
}

/**
 * Writes notes down, each if its lease still holds; answers for each whether it does. Those jobs stay locked until the transaction
 * ends, so that a cancel or the reaper does not pass by in between. Written twice by the same run a note is there once, so a caller who
 * does not know whether the first writing was committed may write again. `together`, those whose job is locked are left out as well.
 */
export async function writeNotes(
  db: DatabaseOrTransaction,
  notes: readonly Note[],
  company: Company,
): Promise<boolean[]> {
  const { rows } = await sql<{ ordinal: number }>`
    with ${notesOf(notes, company)} select ordinal::int from held`.execute(db);
  const held = new Set(rows.map((row) => row.ordinal));
  return notes.map((_note, i) => held.has(i + 1));
}

/**
 * The parts of a `with` that write notes: `held` are the jobs that are still held, with the `ordinal` of their notes, from 1; `ended` and
 * `skipped` are what is written of attempts that are over.
 */
export function notesOf(notes: readonly Note[], company: Company): RawBuilder<unknown> {
  const { ended, skipped, begun } = sorted(notes);
  return sql.join([
    sql`held as materialized (
      select jobs.id, jobs.project_id, jobs.lease_token, asked.ordinal
      from ${tableOf('asked', notes, LEASE_COLUMNS)}
      join jobs on jobs.id = asked.job_id and jobs.lease_token = asked.token and jobs.status = 'in_progress'
      where jobs.id = any(${notes.map(({ lease }) => lease.jobId)}::uuid[])
      order by jobs.id for no key update of jobs ${waiting(company)})`,
    // What is not there is left out: most statements have one of the three.
    ...(ended.length > 0 ? [sql`ended as (${finish(ended)} returning ${SUMMED_COLUMNS})`] : []),
    ...(skipped.length > 0 ? [sql`skipped as (${insertSkipped(skipped)} returning ${SUMMED_COLUMNS})`] : []),
    ...(begun.length > 0 ? [sql`begun as (${insertBegun(begun)})`] : []),
  ]);
}

/** Each part of the notes with its lease. */
function sorted(notes: readonly Note[]) {
  const finished = notes.flatMap((note) => (note.finished ? [{ ...note.finished, lease: note.lease }] : []));
  return {
    ended: finished.filter((each) => each.skipped === null),
    skipped: finished.flatMap((each) => (each.skipped ? [{ ...each, ...each.skipped }] : [])),
    begun: notes.flatMap((note) => (note.next ? [{ ...note.next, lease: note.lease }] : [])),
  };
}

/**
 * Writes down what became of an attempt whose job may have gone on without it. Nothing happens if somebody else has written it.
 */
export async function finishLate(
  db: DatabaseOrTransaction,
  lease: Lease,
  attempt: FinishedAttempt,
): Promise<void> {
  const held = sql`(select ${lease.jobId}::uuid as id, ${lease.token}::int as lease_token) held`;
  await finish([{ ...attempt, lease }], held).execute(db);
}

type Leased = { readonly lease: Lease };
type Held<Part> = Part & Leased;

/** What finds the row of a lease among the jobs that are held. */
export const LEASE_COLUMNS = {
  job_id: ['uuid', ({ lease }) => lease.jobId],
  token: ['int', ({ lease }) => lease.token],
} satisfies Record<string, Column<Leased>>;

/** Who writes alone waits for the locks of others; in company nobody does. */
export function waiting(company: Company): RawBuilder<unknown> {
  return company === 'together' ? sql`skip locked` : sql``;
}

function finish(
  attempts: readonly Held<FinishedAttempt>[],
  held: RawBuilder<unknown> = sql`held`,
): RawBuilder<unknown> {
  const done = tableOf<Held<FinishedAttempt>>('done', attempts, {
    id: ['uuid', (each) => each.id],
    ...LEASE_COLUMNS,
    outcome: ['text', (each) => each.outcome],
    class: ['text', (each) => each.class],
    http_status: ['smallint', (each) => each.httpStatus],
    message: ['text', (each) => each.message],
    sent: ['boolean', (each) => each.sent],
    retry_after_ms: ['bigint', (each) => each.retryAfterMs],
    key_id: ['text', (each) => each.keyId],
    decision: ['text', (each) => each.decision],
    decision_reason: ['text', (each) => each.decisionReason],
    ended_ago_ms: ['double precision', (each) => each.endedAgoMs],
    input_tokens: ['bigint', (each) => each.usage?.inputTokens ?? null],
    output_tokens: ['bigint', (each) => each.usage?.outputTokens ?? null],
    total_tokens: ['bigint', (each) => each.usage?.totalTokens ?? null],
    cached_input_tokens: ['bigint', (each) => each.usage?.cachedInputTokens ?? null],
    cache_write_tokens: ['bigint', (each) => each.usage?.cacheWriteTokens ?? null],
    reasoning_tokens: ['bigint', (each) => each.usage?.reasoningTokens ?? null],
    cost_micros: ['bigint', (each) => each.costMicros],
    upstream_request_id: ['text', (each) => each.upstreamRequestId],
    error_body: ['text', (each) => each.errorBody],
  });
  return sql`
    update attempts set outcome = done.outcome, class = done.class, http_status = done.http_status,
      message = done.message, sent = done.sent, retry_after_ms = done.retry_after_ms, key_id = done.key_id,
      decision = done.decision, decision_reason = done.decision_reason, ended_at = ${endOf('done')},
      input_tokens = done.input_tokens, output_tokens = done.output_tokens, total_tokens = done.total_tokens,
      cached_input_tokens = done.cached_input_tokens, cache_write_tokens = done.cache_write_tokens,
      reasoning_tokens = done.reasoning_tokens, cost_micros = done.cost_micros,
      upstream_request_id = done.upstream_request_id, error_body = done.error_body
    from ${done} join ${held} on ${isHeld('done')}
    where attempts.id = any(${attempts.map((each) => each.id)}::uuid[]) and attempts.id = done.id
      and attempts.outcome is null`;
}

/** A row that is written once: a model that was considered and not called. */
function insertSkipped(attempts: readonly Held<FinishedAttempt & NewAttempt>[]): RawBuilder<unknown> {
  const skipped = tableOf<Held<FinishedAttempt & NewAttempt>>('skipped', attempts, {
    ...NEW_COLUMNS,
    class: ['text', (each) => each.class],
    message: ['text', (each) => each.message],
    retry_after_ms: ['bigint', (each) => each.retryAfterMs],
    decision: ['text', (each) => each.decision],
    decision_reason: ['text', (each) => each.decisionReason],
    ended_ago_ms: ['double precision', (each) => each.endedAgoMs],
  });
  return sql`
    insert into attempts (id, job_id, project_id, index, round, step, model, provider, key_id, worker, lease_token,
      started_at, ended_at, outcome, class, message, sent, retry_after_ms, decision, decision_reason)
    select skipped.id, held.id, held.project_id, index, round, step, model, provider, null, worker, held.lease_token,
      ${endOf('skipped')}, ${endOf('skipped')}, 'skipped', class, message, false, retry_after_ms, decision, decision_reason
    from ${skipped} join held on ${isHeld('skipped')}
    on conflict (id) do nothing`;
}

function insertBegun(attempts: readonly Held<NewAttempt>[]): RawBuilder<unknown> {
  return sql`
    insert into attempts (id, job_id, project_id, index, round, step, model, provider, key_id, worker, lease_token, started_at)
    select begun.id, held.id, held.project_id, index, round, step, model, provider, key_id, worker, held.lease_token,
      clock_timestamp()
    from ${tableOf('begun', attempts, NEW_COLUMNS)} join held on ${isHeld('begun')}
    on conflict (id) do nothing`;
}

const NEW_COLUMNS = {
  id: ['uuid', (each) => each.id],
  ...LEASE_COLUMNS,
  index: ['int', (each) => each.index],
  round: ['int', (each) => each.round],
  step: ['int', (each) => each.step],
  model: ['text', (each) => each.model],
  provider: ['text', (each) => each.provider],
  key_id: ['text', (each) => each.keyId],
  worker: ['text', (each) => each.worker],
} satisfies Record<string, Column<Held<NewAttempt>>>;

/** Two runs of the same job may be in one group: the token tells them apart. */
function isHeld(table: string): RawBuilder<unknown> {
  return sql`held.id = ${sql.ref(table)}.job_id and held.lease_token = ${sql.ref(table)}.token`;
}

/** The record tells the call's own end, not that of the writing. */
function endOf(table: string): RawBuilder<unknown> {
  return sql`clock_timestamp() - make_interval(secs => ${sql.ref(table)}.ended_ago_ms / 1000)`;
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
export function totalsOf(
  jobId: RawBuilder<unknown>,
  attempts: RawBuilder<unknown> = sql`attempts`,
): RawBuilder<unknown> {
  return sql`(attempt_count, fell_back, input_tokens, output_tokens, total_tokens, cached_input_tokens,
      cache_write_tokens, reasoning_tokens, cost_micros) = (
    select count(*), coalesce(max(step) filter (where outcome is distinct from 'skipped') > 0, false), sum(input_tokens), sum(output_tokens), sum(total_tokens),
      sum(cached_input_tokens), sum(cache_write_tokens), sum(reasoning_tokens),
      case when bool_or(cost_micros is null and (total_tokens is not null or outcome = 'succeeded')) then null
        else sum(cost_micros) end
    from ${attempts} where job_id = ${jobId})`;
}

/**
 * The attempts of jobs in the statement whose {@link notesOf} writes some of them: a statement sees the rows as they were before it, so
 * those are taken from what it writes.
 */
export function attemptsWith(notes: readonly Note[]): RawBuilder<unknown> {
  const { ended, skipped } = sorted(notes);
  const ids = [...ended, ...skipped].map(({ id }) => id);
  return sql`(
    select ${SUMMED_COLUMNS} from attempts where id <> all(${ids}::uuid[])
    ${ended.length > 0 ? sql`union all select * from ended` : sql``}
    ${skipped.length > 0 ? sql`union all select * from skipped` : sql``}) attempts`;
}

const SUMMED_COLUMNS = sql.raw(
  `job_id, step, outcome, input_tokens, output_tokens, total_tokens, cached_input_tokens, cache_write_tokens,
    reasoning_tokens, cost_micros`
    .split(',')
    .map((column) => `attempts.${column.trim()}`)
    .join(', '),
);

/** The condition under which a lease still holds. */
export function held(lease: Lease): RawBuilder<unknown> {
  return sql`id = ${lease.jobId} and lease_token = ${lease.token} and status = 'in_progress'`;
}

/** A timestamp or an interval as whole milliseconds. */
export function milliseconds(expression: string): RawBuilder<number> {
  return sql<number>`(extract(epoch from ${sql.raw(expression)}) * 1000)::bigint`;
}
