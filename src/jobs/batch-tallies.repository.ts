import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';

/** What has become of the jobs of one batch so far. */
export interface Tally {
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly expired: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly cachedInputTokens: number;
  readonly reasoningTokens: number;
  /** The sum of all that is known. */
  readonly costMicros: number;
  /** How many jobs were paid for at a price that nobody knows. */
  readonly unpriced: number;
}

/** The tally of a batch of which nothing has ended. */
export const EMPTY_TALLY: Tally = {
  completed: 0,
  failed: 0,
  cancelled: 0,
  expired: 0,
  inputTokens: 0,
  outputTokens: 0,
  totalTokens: 0,
  cachedInputTokens: 0,
  reasoningTokens: 0,
  costMicros: 0,
  unpriced: 0,
};

/** A job's own figures, as they are counted in its batch's tally. */
export interface CountedJob extends Omit<Tally, 'completed' | 'failed' | 'cancelled' | 'expired'> {
  readonly id: string;
  readonly batchId: string | null;
  readonly isEnded: boolean;
}

/** Tokens without a price were paid for all the same. */
const UNPRICED = sql`case when cost_micros is null and (total_tokens is not null or status = 'completed') then 1 else 0 end`;

export const COUNTED_COLUMNS = sql`id, batch_id as "batchId", finished_at is not null as "isEnded",
  coalesce(input_tokens, 0) as "inputTokens", coalesce(output_tokens, 0) as "outputTokens",
  coalesce(total_tokens, 0) as "totalTokens", coalesce(cached_input_tokens, 0) as "cachedInputTokens",
  coalesce(reasoning_tokens, 0) as "reasoningTokens", coalesce(cost_micros, 0) as "costMicros", ${UNPRICED} as unpriced`;

/** Each connection counts in a row of its own, so that those who write at the same moment seldom meet. */
const SHARD = sql`pg_backend_pid() % 16`;

/** The columns of jobs from which they are counted, beside `batch_id` and `status`. */
export const TALLIED_COLUMNS = sql`input_tokens, output_tokens, total_tokens, cached_input_tokens, reasoning_tokens, cost_micros`;

/** A statement that counts jobs; `from` is a table, or part of a `with`, of jobs' rows that have ended in this transaction. */
export const countFrom = (from: ReturnType<typeof sql>) => sql`
  insert into batch_tallies as t (batch_id, shard, completed, failed, cancelled, expired, input_tokens, output_tokens,
    total_tokens, cached_input_tokens, reasoning_tokens, cost_micros, unpriced)
  select batch_id, ${SHARD}, count(*) filter (where status = 'completed'), count(*) filter (where status = 'failed'),
    count(*) filter (where status = 'cancelled'), count(*) filter (where status = 'expired'),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(total_tokens), 0),
    coalesce(sum(cached_input_tokens), 0), coalesce(sum(reasoning_tokens), 0), coalesce(sum(cost_micros), 0),
    sum(${UNPRICED})
  from ${from}
  group by 1, 2 order by 1, 2
  on conflict (batch_id, shard) do update set completed = t.completed + excluded.completed,
    failed = t.failed + excluded.failed, cancelled = t.cancelled + excluded.cancelled,
    expired = t.expired + excluded.expired, input_tokens = t.input_tokens + excluded.input_tokens,
    output_tokens = t.output_tokens + excluded.output_tokens, total_tokens = t.total_tokens + excluded.total_tokens,
    cached_input_tokens = t.cached_input_tokens + excluded.cached_input_tokens,
    reasoning_tokens = t.reasoning_tokens + excluded.reasoning_tokens,
    cost_micros = t.cost_micros + excluded.cost_micros, unpriced = t.unpriced + excluded.unpriced`;

/** Counts jobs that have ended in this transaction, each exactly once. */
export async function count(trx: DatabaseOrTransaction, jobIds: readonly string[]): Promise<void> {
  await countFrom(sql`jobs where id = any(${[...jobIds]}::uuid[])`).execute(trx);
}

/** Corrects the count of a job whose figures have changed after its end, in any of the rows; `before` is what was counted. */
export async function recount(trx: DatabaseOrTransaction, before: CountedJob): Promise<void> {
  await sql`
    with now as (
      select ${COUNTED_COLUMNS}, (select min(shard) from batch_tallies where batch_id = jobs.batch_id) as shard
      from jobs where id = ${before.id})
    update batch_tallies t set
      input_tokens = t.input_tokens + now."inputTokens" - ${before.inputTokens}::bigint,
      output_tokens = t.output_tokens + now."outputTokens" - ${before.outputTokens}::bigint,
      total_tokens = t.total_tokens + now."totalTokens" - ${before.totalTokens}::bigint,
      cached_input_tokens = t.cached_input_tokens + now."cachedInputTokens" - ${before.cachedInputTokens}::bigint,
      reasoning_tokens = t.reasoning_tokens + now."reasoningTokens" - ${before.reasoningTokens}::bigint,
      cost_micros = t.cost_micros + now."costMicros" - ${before.costMicros}::bigint,
      unpriced = t.unpriced + now.unpriced - ${before.unpriced}::int
    from now where t.batch_id = now."batchId" and t.shard = now.shard`.execute(trx);
}

/** Where a batch's jobs stand. */
export interface Progress extends Tally {
  /** How many of them run now. */
  readonly running: number;
}

/** The SQL of reading what has become of batches' jobs. */
@Injectable()
export class BatchTalliesRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Removes how a batch's jobs were let out and counted. */
  async remove(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    await sql`delete from batch_runs where batch_id = ${batchId}`.execute(trx);
    await sql`delete from batch_tallies where batch_id = ${batchId}`.execute(trx);
  }

  /** By the batch's uuid, for each that is asked for; all of one moment, so no job is in two counts or in none. */
  async progress(batchIds: readonly string[]): Promise<Map<string, Progress>> {
    if (batchIds.length === 0) return new Map();
    const { rows } = await sql<Progress & { batchId: string }>`
      with asked as (select unnest(${[...batchIds]}::uuid[]) as batch_id), running as (
        select batch_id, count(*) as running from jobs
        where status = 'in_progress' and batch_id in (select batch_id from asked) group by 1
      ), ended as (
        select batch_id, sum(completed) as completed, sum(failed) as failed, sum(cancelled) as cancelled,
          sum(expired) as expired, sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
          sum(total_tokens) as total_tokens, sum(cached_input_tokens) as cached_input_tokens,
          sum(reasoning_tokens) as reasoning_tokens, sum(cost_micros) as cost_micros, sum(unpriced) as unpriced
        from batch_tallies where batch_id in (select batch_id from asked) group by 1
      )
      select batch_id as "batchId", coalesce(running, 0)::int as running, coalesce(completed, 0)::int as completed,
        coalesce(failed, 0)::int as failed, coalesce(cancelled, 0)::int as cancelled,
        coalesce(expired, 0)::int as expired, coalesce(input_tokens, 0)::bigint as "inputTokens",
        coalesce(output_tokens, 0)::bigint as "outputTokens", coalesce(total_tokens, 0)::bigint as "totalTokens",
        coalesce(cached_input_tokens, 0)::bigint as "cachedInputTokens",
        coalesce(reasoning_tokens, 0)::bigint as "reasoningTokens",
        coalesce(cost_micros, 0)::bigint as "costMicros", coalesce(unpriced, 0)::int as unpriced
      from asked left join running using (batch_id) left join ended using (batch_id)`.execute(this.db);
    return new Map(rows.map(({ batchId, ...progress }) => [batchId, progress]));
  }
}
