/** The window: how many jobs may be rung and not taken yet, and each source's part of it. */
import { type RawBuilder, sql } from 'kysely';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';

/**
 * Most jobs of one source (a project's own jobs, or a batch) and of normal priority that are rung and not taken yet; of high
 * and low ones see {@link windowOf}.
 */
const WINDOW = 500;
const LEAST_WINDOW = 20;
/** About so many are rung by one statement, so that none takes long. */
export const RUNG_AT_ONCE = 100;

/** What one step of filling the window came to. */
export interface Filling {
  readonly bells: JobBell[];
  /** Whether a source has its part of the window full: then there may be more to ring as soon as some are taken. */
  readonly isFull: boolean;
}

/** A row of what one step rings. */
export type Rung = RungJob & { readonly isFull: boolean };

/** What is told of a job that is rung before its turn, beside its id. */
export const RUNG_COLUMNS = sql`dispatch_no as "dispatchNo", priority, batch_id as "batchId", 1 as place`;

export const BACKLOG = sql`status = 'queued' and rung_at is null and batch_id is null`;

/** A line of a batch that is paused, or not read to its end, may not run. */
export const MAY_RUN = sql`(batch_id is null or exists (
  select from batch_runs where batch_runs.batch_id = jobs.batch_id and batch_runs.is_open))`;

/** How many jobs of a source and priority are rung and not taken; counts no further than a window. */
export function rungOf(source: RawBuilder<unknown>, priority: RawBuilder<unknown>): RawBuilder<unknown> {
  // In the order of the one index in which they stand together, so that none is planned that has others before them.
  return sql`(select count(*) from (select from jobs where ${source} and jobs.priority = ${priority}
    and jobs.status = 'queued' and jobs.rung_at is not null order by batch_id, rung_at limit ${windowOf(priority)}) w)`;
}

/** The window of one source and priority: `high` has four times that of `normal`, `low` a quarter. */
export function windowOf(priority: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(${WINDOW} * ${partOf(priority)})::int`;
}

/** How much of a window a priority has, beside `normal`. */
function partOf(priority: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`power(4, 2 - ${priority})`;
}

/** The room that each source has, of `rung (priority, rung)`, where all of them share a window. */
export function roomOf(windowOfAll: number): RawBuilder<unknown> {
  return sql`ceil(${partOf(sql`priority`)} * case when sum(rung) over () >= ${windowOfAll} then ${LEAST_WINDOW}
    else greatest(${LEAST_WINDOW}, least(${WINDOW}, ${windowOfAll} / count(*) over ())) end)::int`;
}

/** How many of a source `r` one statement rings: its share, as far as it has room. */
export const QUOTA = sql`least(r.share, greatest(0, r.room - r.rung))`;

/** How many of each source one statement may ring. */
export const SHARE = sql`greatest(1, ${RUNG_AT_ONCE} / count(*) over ())`;

/** What the rows of one step come to. */
export function fillingOf(rows: readonly Rung[]): Filling {
  return { bells: rows.map(bellOf), isFull: rows.some((row) => row.isFull) };
}
