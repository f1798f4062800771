import { type RawBuilder, sql } from 'kysely';
import type { DatabaseOrTransaction } from '../storage/database.js';
import type { Company } from '../storage/group-commit.js';
import { type Column, tableOf } from '../storage/table-of.js';
import type { FinishedAttempt, Lease, NewAttempt } from './attempts.repository.js';

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
  const done = tableOf('done', attempts, {
    ...KEY_COLUMNS,
    ...DECIDED_COLUMNS,
    ...CALL_COLUMNS,
    ...AGO_COLUMN,
  });
  return sql`
    update attempts set ${FINISHED}, ended_at = ${endOf('done')}
    from ${done} join ${held} on ${isHeld('done')}
    where attempts.id = any(${attempts.map((each) => each.id)}::uuid[]) and attempts.id = done.id
      and attempts.outcome is null`;
}

/** A row that is written once: a model that was considered and not called. */
function insertSkipped(attempts: readonly Held<FinishedAttempt & NewAttempt>[]): RawBuilder<unknown> {
  const skipped = tableOf('skipped', attempts, { ...NEW_COLUMNS, ...DECIDED_COLUMNS, ...AGO_COLUMN });
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

const KEY_COLUMNS = {
  id: ['uuid', (each) => each.id],
  ...LEASE_COLUMNS,
} satisfies Record<string, Column<Held<{ readonly id: string }>>>;

const NEW_COLUMNS = {
  ...KEY_COLUMNS,
  index: ['int', (each) => each.index],
  round: ['int', (each) => each.round],
  step: ['int', (each) => each.step],
  model: ['text', (each) => each.model],
  provider: ['text', (each) => each.provider],
  key_id: ['text', (each) => each.keyId],
  worker: ['text', (each) => each.worker],
} satisfies Record<string, Column<Held<NewAttempt>>>;

/** What is told of each attempt that is over. */
const DECIDED_COLUMNS = {
  class: ['text', (each) => each.class],
  message: ['text', (each) => each.message],
  retry_after_ms: ['bigint', (each) => each.retryAfterMs],
  decision: ['text', (each) => each.decision],
  decision_reason: ['text', (each) => each.decisionReason],
} satisfies Record<string, Column<FinishedAttempt>>;

/** What is told of a call besides. */
const CALL_COLUMNS = {
  outcome: ['text', (each) => each.outcome],
  http_status: ['smallint', (each) => each.httpStatus],
  sent: ['boolean', (each) => each.sent],
  key_id: ['text', (each) => each.keyId],
  input_tokens: ['bigint', (each) => each.usage?.inputTokens ?? null],
  output_tokens: ['bigint', (each) => each.usage?.outputTokens ?? null],
  total_tokens: ['bigint', (each) => each.usage?.totalTokens ?? null],
  cached_input_tokens: ['bigint', (each) => each.usage?.cachedInputTokens ?? null],
  cache_write_tokens: ['bigint', (each) => each.usage?.cacheWriteTokens ?? null],
  reasoning_tokens: ['bigint', (each) => each.usage?.reasoningTokens ?? null],
  cost_micros: ['bigint', (each) => each.costMicros],
  upstream_request_id: ['text', (each) => each.upstreamRequestId],
  error_body: ['text', (each) => each.errorBody],
} satisfies Record<string, Column<FinishedAttempt>>;

const FINISHED = sql.raw(
  Object.keys({ ...DECIDED_COLUMNS, ...CALL_COLUMNS })
    .map((column) => `${column} = done.${column}`)
    .join(', '),
);

const AGO_COLUMN = {
  ended_ago_ms: ['double precision', (each) => each.endedAgoMs],
} satisfies Record<string, Column<FinishedAttempt>>;

/** Two runs of the same job may be in one group: the token tells them apart. */
function isHeld(table: string): RawBuilder<unknown> {
  return sql`held.id = ${sql.ref(table)}.job_id and held.lease_token = ${sql.ref(table)}.token`;
}

/** The record tells the call's own end, not that of the writing. */
function endOf(table: string): RawBuilder<unknown> {
  return sql`clock_timestamp() - make_interval(secs => ${sql.ref(table)}.ended_ago_ms / 1000)`;
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
