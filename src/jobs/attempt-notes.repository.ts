import { type RawBuilder, sql } from 'kysely';
import type { DatabaseOrTransaction } from '../storage/database.js';
import type { Company } from '../storage/group-commit.js';
import { type Columns, columnsOf, tableOf, unseen } from '../storage/table-of.js';
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
  const sorted = inOrder(notes);
  const { rows } = await sql<{ ordinal: number }>`
    with ${writingOf(sorted, company)} select ordinal::int from held`.execute(db);
  const held = new Set(rows.map((row) => sorted[row.ordinal - 1]));
  return notes.map((note) => held.has(note));
}

/** In the order in which all who lock many jobs do: else two of them could wait for each other. */
export function inOrder<Leased extends { readonly lease: Lease }>(all: readonly Leased[]): Leased[] {
  return all.toSorted((a, b) => (a.lease.jobId < b.lease.jobId ? -1 : 1));
}

/**
 * The parts of a `with` that write notes, which must be {@link inOrder}: `held` are the jobs that are still held (`job_id`, `token`,
 * `project_id`), as far as this holds for them as well, with the `ordinal` of their notes, all that is told of their attempts, and these
 * columns besides. Each note is one row from the beginning to the end, so that nothing is looked for among all the others.
 */
export function writingOf<N extends Note>(
  notes: readonly N[],
  company: Company,
  besides: Columns<N> = {},
  condition = sql`true`,
): RawBuilder<unknown> {
  const ended = notes.flatMap((note) => endedOf(note)?.id ?? []);
  const isAny = partsOf(notes);
  return sql.join([
    // By themselves: whoever looks for them by their status as well reads all that have or had it. And so that as many are expected to be
    // held as were asked for: who expects one of them looks for each among all others.
    sql`held as materialized (
      select jobs.project_id, asked.* from ${tableOf('asked', notes, { ...columnsFor(isAny), ...besides })}
      cross join lateral (
        select project_id from (
          select project_id, lease_token, status, batch_id, webhook_url from jobs where id = asked.job_id
          offset 0 for no key update ${waiting(company)}) jobs
        where lease_token = asked.token and status = 'in_progress' and ${condition}
        offset 0) jobs)`,
    // What is not there is left out: most statements have one of the three.
    ...(isAny.ended ? [sql`ended as (${finish(ended, sql`held`)})`] : []),
    ...(isAny.skipped ? [sql`skipped as (${INSERT_SKIPPED})`] : []),
    ...(isAny.begun ? [sql`begun as (${INSERT_BEGUN})`] : []),
  ]);
}

/**
 * Writes down what became of an attempt whose job may have gone on without it. Nothing happens if somebody else has written it.
 */
export async function finishLate(
  db: DatabaseOrTransaction,
  lease: Lease,
  attempt: FinishedAttempt,
): Promise<void> {
  const note = { lease, finished: attempt, next: null };
  const told = tableOf('held', [note], columnsFor({ ended: true, skipped: false, begun: false }));
  await sql`${finish([attempt.id], told)} and attempts.outcome is null`.execute(db);
}

/** Who writes alone waits for the locks of others; in company nobody does. */
export function waiting(company: Company): RawBuilder<unknown> {
  return company === 'together' ? sql`skip locked` : sql``;
}

interface Parts {
  readonly ended: boolean;
  readonly skipped: boolean;
  readonly begun: boolean;
}

function partsOf(notes: readonly Note[]): Parts {
  return {
    ended: notes.some((note) => endedOf(note) !== null),
    skipped: notes.some((note) => skippedOf(note) !== null),
    begun: notes.some((note) => note.next !== null),
  };
}

function endedOf({ finished }: Note): FinishedAttempt | null {
  return finished?.skipped ? null : finished;
}

function skippedOf({ finished }: Note): FinishedAttempt | null {
  return finished?.skipped ? finished : null;
}

/** Of an attempt that is over and was called. */
function finish(ids: readonly string[], held: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    update attempts set ${FINISHED}, ended_at = coalesce(ended_at, ${endOf('ended')}) from ${held}
    where attempts.id = any(${unseen(ids, 'uuid')}) and attempts.id = held.ended_id and attempts.job_id = held.job_id`;
}

/** What is told of each attempt that is about to be made. */
const NEW_COLUMNS = {
  id: ['uuid', (each) => each.id],
  index: ['int', (each) => each.index],
  round: ['int', (each) => each.round],
  step: ['int', (each) => each.step],
  model: ['text', (each) => each.model],
  provider: ['text', (each) => each.provider],
  key_id: ['text', (each) => each.keyId],
  worker: ['text', (each) => each.worker],
} satisfies Columns<NewAttempt>;

/** What is told of each attempt that is over. */
const DECIDED_COLUMNS = {
  class: ['text', (each) => each.class],
  message: ['text', (each) => each.message],
  retry_after_ms: ['bigint', (each) => each.retryAfterMs],
  decision: ['text', (each) => each.decision],
  decision_reason: ['text', (each) => each.decisionReason],
} satisfies Columns<FinishedAttempt>;

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
} satisfies Columns<FinishedAttempt>;

const AGO_COLUMN = {
  ended_ago_ms: ['double precision', (each) => each.endedAgoMs],
} satisfies Columns<FinishedAttempt>;

const LEASE_COLUMNS: Columns<Note> = {
  job_id: ['uuid', ({ lease }) => lease.jobId],
  token: ['int', ({ lease }) => lease.token],
};
const ENDED_COLUMNS = columnsOf('ended_', endedOf, {
  id: ['uuid', (each) => each.id],
  step: ['int', (each) => each.step],
  ...DECIDED_COLUMNS,
  ...CALL_COLUMNS,
  ...AGO_COLUMN,
});
const SKIPPED_COLUMNS = {
  ...columnsOf('skipped_', (note: Note) => note.finished?.skipped ?? null, NEW_COLUMNS),
  ...columnsOf('skipped_', skippedOf, { ...DECIDED_COLUMNS, ...AGO_COLUMN }),
};
const BEGUN_COLUMNS = columnsOf('begun_', (note: Note) => note.next, NEW_COLUMNS);

function columnsFor(isAny: Parts): Columns<Note> {
  return {
    ...LEASE_COLUMNS,
    ...(isAny.ended ? ENDED_COLUMNS : {}),
    ...(isAny.skipped ? SKIPPED_COLUMNS : {}),
    ...(isAny.begun ? BEGUN_COLUMNS : {}),
  };
}

const FINISHED = listOf(
  Object.keys({ ...DECIDED_COLUMNS, ...CALL_COLUMNS }),
  (column) => `${column} = held.ended_${column}`,
);

const NEW_NAMES = Object.keys(NEW_COLUMNS);
const SKIPPED_NAMES = [...NEW_NAMES, ...Object.keys(DECIDED_COLUMNS)];

/** A row that is written once: a model that was considered and not called. */
const INSERT_SKIPPED = sql`
  insert into attempts (job_id, project_id, lease_token, started_at, ended_at, outcome, sent, ${listOf(SKIPPED_NAMES)})
  select job_id, project_id, token, ${endOf('skipped')}, ${endOf('skipped')}, 'skipped', false,
    ${listOf(SKIPPED_NAMES, (column) => `held.skipped_${column}`)}
  from held where skipped_id is not null
  on conflict (id) do nothing`;

const INSERT_BEGUN = sql`
  insert into attempts (job_id, project_id, lease_token, started_at, ${listOf(NEW_NAMES)})
  select job_id, project_id, token, clock_timestamp(), ${listOf(NEW_NAMES, (column) => `held.begun_${column}`)}
  from held where begun_id is not null
  on conflict (id) do nothing`;

/** What is said of each of these columns, in a list. */
function listOf(columns: readonly string[], say = (column: string): string => column): RawBuilder<unknown> {
  return sql.raw(columns.map(say).join(', '));
}

/** The record tells the call's own end, not that of the writing. */
function endOf(part: 'ended' | 'skipped'): RawBuilder<unknown> {
  return sql`clock_timestamp() - make_interval(secs => held.${sql.raw(part)}_ended_ago_ms / 1000)`;
}

/** What of an attempt is summed up in its job. */
const SUMMED = [
  'step',
  'outcome',
  'input_tokens',
  'output_tokens',
  'total_tokens',
  'cached_input_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'cost_micros',
];

/**
 * The attempts of one of the jobs that are `held` in the statement of {@link writingOf}: a statement sees the rows as they were before
 * it, so what it writes itself is taken from the note.
 */
export function attemptsWith(notes: readonly Note[]): RawBuilder<unknown> {
  const isAny = partsOf(notes);
  const isOther = (part: string) => sql`and id is distinct from held.${sql.raw(part)}_id`;
  const ended = listOf(SUMMED, (column) => `held.ended_${column}`);
  const skipped = listOf(SUMMED.slice(2), () => 'null'); // no call, no tokens
  return sql`(
    select ${listOf(SUMMED)} from attempts
    where job_id = held.job_id ${isAny.ended ? isOther('ended') : sql``} ${isAny.skipped ? isOther('skipped') : sql``}
    ${isAny.ended ? sql`union all select ${ended} where held.ended_id is not null` : sql``}
    ${isAny.skipped ? sql`union all select held.skipped_step, 'skipped', ${skipped} where held.skipped_id is not null` : sql``}
  ) attempts`;
}
