import { Inject, Injectable } from '@nestjs/common';
import { type RawBuilder, sql } from 'kysely';
import { DATABASE, type Database } from '../storage/database.js';
import type { JobStatus } from '../storage/schema.js';
import { milliseconds } from './attempts.repository.js';

/** Whose jobs are counted. Times are Unix seconds. */
export interface StatsScope {
  readonly projectId: string;
  readonly policy: string;
  /** Null for all. */
  readonly version: number | null;
  readonly createdAfter: number;
  /** Null for no end. */
  readonly createdBefore: number | null;
}

/** The 50th, 90th, 95th and 99th percentile in milliseconds; null where there is nothing to rank. */
export type Percentiles = readonly [number, number, number, number] | null;

/** All jobs together. */
export interface JobStatsRow extends Readonly<Record<JobStatus, number>> {
  readonly total: number;
  readonly fellBack: number;
  readonly latencyMs: Percentiles;
}

/** One model's attempts. */
export interface ModelStatsRow {
  readonly model: string;
  readonly served: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly skipped: number;
  readonly brokenOff: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly costMicros: number | null;
  readonly withoutCost: number;
  readonly latencyMs: Percentiles;
}

/** One model's attempts that ended in one class of failure. */
export interface FailureStatsRow {
  readonly model: string;
  readonly class: string;
  readonly attempts: number;
  readonly fellBack: number;
}

export interface StatsRows {
  readonly jobs: JobStatsRow;
  readonly models: readonly ModelStatsRow[];
  readonly failures: readonly FailureStatsRow[];
}

/** About as long as a million jobs take on a small machine; the database has other things to do. */
const LONGEST_COUNT_MS = 20_000;
const QUERY_CANCELED = '57014';

/** The SQL of a policy's figures: jobs by `jobs_by_policy`, and each job's attempts by its id. */
@Injectable()
export class PolicyStatsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** All figures, as of one moment; null if the counting took too long. */
  async count(scope: StatsScope): Promise<StatsRows | null> {
    const endsAtMs = performance.now() + LONGEST_COUNT_MS;
    try {
      return await this.db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute(async (trx) => {
          const rowsOf = async <Row>(query: RawBuilder<Row>): Promise<Row[]> => {
            const leftMs = Math.max(1, Math.round(endsAtMs - performance.now()));
            await sql`select set_config('statement_timeout', ${String(leftMs)}, true)`.execute(trx);
            return (await query.execute(trx)).rows;
          };
          const [jobs] = await rowsOf(countJobs(scope));
          if (!jobs) throw new Error('An aggregate without groups came back without its row');
          const models = await rowsOf(countModels(scope));
          const failures = await rowsOf(countFailures(scope));
          return { jobs, models, failures };
        });
    } catch (error) {
      if ((error as { code?: unknown }).code === QUERY_CANCELED) return null;
      throw error;
    }
  }
}

function countJobs(scope: StatsScope): RawBuilder<JobStatsRow> {
  return sql`select count(*) as total,
      count(*) filter (where j.status = 'queued') as queued,
      count(*) filter (where j.status = 'in_progress') as in_progress,
      count(*) filter (where j.status = 'completed') as completed,
      count(*) filter (where j.status = 'failed') as failed,
      count(*) filter (where j.status = 'cancelled') as cancelled,
      count(*) filter (where j.status = 'expired') as expired,
      count(*) filter (where j.fell_back and j.finished_at is not null) as "fellBack",
      ${percentiles('j.finished_at - j.created_at', "j.status = 'completed'")} as "latencyMs"
    from jobs j where ${inScope(scope)}`;
}

function countModels(scope: StatsScope): RawBuilder<ModelStatsRow> {
  return sql`select a.model,
      count(*) filter (where a.outcome = 'succeeded' and j.status = 'completed') as served,
      count(*) filter (where a.outcome = 'succeeded') as succeeded,
      count(*) filter (where a.outcome = 'failed') as failed,
      count(*) filter (where a.outcome = 'skipped') as skipped,
      count(*) filter (where a.outcome in ('interrupted', 'cancelled', 'superseded')) as "brokenOff",
      coalesce(sum(a.input_tokens), 0)::bigint as "inputTokens",
      coalesce(sum(a.output_tokens), 0)::bigint as "outputTokens",
      coalesce(sum(a.total_tokens), 0)::bigint as "totalTokens",
      sum(a.cost_micros)::bigint as "costMicros",
      count(*) filter (where a.cost_micros is null and (a.outcome = 'succeeded' or a.total_tokens is not null))
        as "withoutCost",
      ${percentiles('a.ended_at - a.started_at', "a.outcome = 'succeeded'")} as "latencyMs"
    from jobs j join attempts a on a.job_id = j.id where ${inScope(scope)}
    group by a.model order by served desc, count(*) desc, a.model`;
}

function countFailures(scope: StatsScope): RawBuilder<FailureStatsRow> {
  return sql`select a.model, a.class, count(*) as attempts, count(*) filter (where a.decision = 'next') as "fellBack"
    from jobs j join attempts a on a.job_id = j.id where ${inScope(scope)} and a.class is not null
    group by a.model, a.class order by attempts desc, a.model, a.class`;
}

function inScope({
  projectId,
  policy,
  version,
  createdAfter,
  createdBefore,
}: StatsScope): RawBuilder<boolean> {
  const conditions = [
    sql`j.project_id = ${projectId} and j.policy_name = ${policy}`,
    sql`j.created_at > to_timestamp(${createdAfter})`,
    ...(createdBefore === null ? [] : [sql`j.created_at < to_timestamp(${createdBefore})`]),
    ...(version === null ? [] : [sql`j.policy_version = ${version}`]),
  ];
  return sql<boolean>`${sql.join(conditions, sql` and `)}`;
}

/** `duration` and `condition` are SQL of this page. */
function percentiles(duration: string, condition: string): RawBuilder<Percentiles> {
  return sql<Percentiles>`(percentile_disc(array[0.5, 0.9, 0.95, 0.99])
    within group (order by ${milliseconds(duration)}) filter (where ${sql.raw(condition)}))::float8[]`;
}
