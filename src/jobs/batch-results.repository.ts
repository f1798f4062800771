import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database } from '../storage/database.js';
import type { JobStatus } from '../storage/schema.js';

/** A line of a batch that has ended, with its answer. */
export interface EndedLine {
  readonly jobId: string;
  readonly customId: string;
  readonly line: number;
  readonly status: Exclude<JobStatus, 'queued' | 'in_progress'>;
  /** When it ended, as the database writes it: a Date would lose the microseconds by which lines are told apart. */
  readonly endedAt: string;
  readonly servedBy: string | null;
  readonly attemptCount: number;
  readonly costMicros: number | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly responseStatus: number | null;
  readonly responseRequestId: string | null;
  /** JSON text. */
  readonly body: string | null;
  /** The job whose answer it shares. */
  readonly sameAs: string | null;
}

/** The place behind a line, in the order of their ends. */
export type EndOf = Pick<EndedLine, 'endedAt' | 'jobId'>;

/** Which ended lines are wanted. */
export interface EndedPage {
  readonly after: EndOf | null;
  /** Only what ended before this moment, as the database writes it; null for all. */
  readonly before: string | null;
  readonly order: 'ended' | 'input';
  /** Null for every one. */
  readonly status: JobStatus | null;
}

/** A request of a line, to be asked again. */
export interface LineRequest {
  readonly jobId: string;
  readonly customId: string;
  /** JSON text. */
  readonly request: string;
}

/** A page holds so many lines at most, and as many as begin within so many bytes of answers. */
const MOST_LINES = 1_000;
const MOST_BYTES = 4 * 2 ** 20;

/** The SQL of reading what lines of batches came to. */
@Injectable()
export class BatchResultsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * A moment before which no line will end any more. An end is dated by the begin of its transaction and seen at its commit;
   * so a reader who goes by the dates must not read past the oldest transaction that is still open.
   */
  async horizon(): Promise<string> {
    const { rows } = await sql<{ horizon: string }>`
      -- The margin is for transactions that have begun and are not listed yet.
      select least(min(xact_start), statement_timestamp() - interval '250 ms')::text as horizon from pg_stat_activity
      where datname = current_database() and application_name = 'baton' and pid <> pg_backend_pid()`.execute(
      this.db,
    );
    return rows[0]?.horizon ?? '-infinity';
  }

  /** The next ended lines; none when there are no more. */
  async ended(batchId: string, page: EndedPage): Promise<EndedLine[]> {
    const { after, before, order, status } = page;
    const isInput = order === 'input';
    const by = isInput ? sql`id` : sql`finished_at, id`;
    const isBehind =
      after &&
      (isInput
        ? sql`and id > ${after.jobId}::uuid`
        : sql`and (finished_at, id) > (${after.endedAt}::timestamptz, ${after.jobId}::uuid)`);
    const { rows } = await sql<EndedLine>`
      with page as (
        select id, finished_at, coalesce(same_as, id) as answer_of from jobs
        where batch_id = ${batchId} and finished_at is not null ${isBehind ?? sql``}
          ${before === null ? sql`` : sql`and finished_at < ${before}::timestamptz`}
          ${status === null ? sql`` : sql`and status = ${status}`}
        order by ${by} limit ${MOST_LINES}
      ), measured as (
        select id, answer_of, sum(length) over (order by ${by}) - length as bytes_before
        from (select page.*, coalesce(octet_length(body), 0) as length
          from page left join job_responses on job_responses.job_id = page.answer_of) p
      )
      select jobs.id as "jobId", custom_id as "customId", line, status, finished_at::text as "endedAt",
        served_by as "servedBy", attempt_count as "attemptCount", cost_micros as "costMicros",
        error_code as "errorCode", error_message as "errorMessage", response_status as "responseStatus",
        response_request_id as "responseRequestId", same_as as "sameAs",
        case when response_status is not null then body end as body
      from measured join jobs on jobs.id = measured.id left join job_responses on job_responses.job_id = measured.answer_of
      where bytes_before < ${MOST_BYTES}
      order by ${isInput ? sql`jobs.id` : sql`finished_at, jobs.id`}`.execute(this.db);
    return rows;
  }

  /** Where a line stands among those that have ended; undefined if it has not, or there is none. */
  async endOf(batchId: string, jobId: string): Promise<EndOf | undefined> {
    const { rows } = await sql<EndOf>`
      select id as "jobId", finished_at::text as "endedAt" from jobs
      where batch_id = ${batchId} and id = ${jobId} and finished_at is not null`.execute(this.db);
    return rows[0];
  }

  /** The next requests of lines that ended in one of these ways, in the order of the input. */
  async requests(
    batchId: string,
    statuses: readonly JobStatus[],
    afterJobId: string | null,
  ): Promise<LineRequest[]> {
    const { rows } = await sql<LineRequest>`
      with page as (
        select jobs.id, custom_id, sum(octet_length(body)) over (order by jobs.id) - octet_length(body) as before
        from (select id, custom_id from jobs
          where batch_id = ${batchId} and status = any(${[...statuses]}::text[])
            ${afterJobId === null ? sql`` : sql`and id > ${afterJobId}`}
          order by id limit ${MOST_LINES}) jobs
        join job_requests on job_requests.job_id = jobs.id
      )
      select page.id as "jobId", custom_id as "customId", body as request
      from page join job_requests on job_requests.job_id = page.id
      where before < ${MOST_BYTES} order by page.id`.execute(this.db);
    return rows;
  }
}
