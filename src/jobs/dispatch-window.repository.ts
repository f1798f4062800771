/**
 * The window: how many jobs may be rung and not taken yet, and each source's part of it. Its numbers stand in the statements' text: a plan
 * that is kept for any limit is made for a tenth of all rows.
 */
import { type RawBuilder, sql } from 'kysely';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';

/**
 * Most jobs of one source (a project's own jobs, or a batch) and of normal priority that are rung and not taken yet; of high
 * and low ones see {@link windowOf}.
 */
const WINDOW = sql.lit(500);
const LEAST_WINDOW = sql.lit(20);
/** About so many are rung by one statement, and no more single jobs, so that none takes long. */
export const RUNG_AT_ONCE = sql.lit(100);

/** So many single jobs of one project and priority have messages of their own, for whoever is free; while more wait nobody is. */
export const ALONE = 100;

/** A bell that was rung this long ago and not heard is rung again; while its message still waits that changes nothing. */
export const RING_AGAIN_SECONDS = 30;
/** When a bell counts as rung that must not be missed: it is rung again soon, in case its ringer dies before it is rung at all. */
export const RUNG_IN_DOUBT = sql`now() - make_interval(secs => ${sql.lit(RING_AGAIN_SECONDS - 3)})`;

/** What one step of filling the window came to. */
export interface Filling {
  readonly bells: JobBell[];
  /** Whether a source has more room than this step gave it: the next one may ring more at once. */
  readonly isCut: boolean;
  /** Whether a source has its part of the window full, or is filled by somebody else just now: there may be more to ring later. */
  readonly isFull: boolean;
}

/** A row of what one step comes to: one for each job that it rings, or a single one without a job. */
export type Rung = (RungJob | { readonly id: null }) & Omit<Filling, 'bells'>;

const RUNG_COLUMNS = sql`id, dispatch_no as "dispatchNo", priority, batch_id as "batchId"`;

/** What is told of a job that is rung before its turn. */
export const RUNG_FIRST = sql`${RUNG_COLUMNS}, 1 as place`;

/** What is told of jobs, of their rows, that were not heard: they are the oldest of their sources. */
export const RUNG_AGAIN = sql`${RUNG_COLUMNS}, row_number() over (partition by project_id, batch_id, priority order by id)::int as place`;

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

/** The room that each source has, of `rung (priority, rung, has_more)`, where all of them share a window. */
export function roomOf(windowOfAll: RawBuilder<unknown>): RawBuilder<unknown> {
  const sources = sql`count(*) filter (where has_more) over ()`;
  return sql`ceil(${partOf(sql`priority`)} * case when sum(rung) over () >= ${windowOfAll} then ${LEAST_WINDOW}
    else greatest(${LEAST_WINDOW}, least(${WINDOW}, ${windowOfAll} / greatest(1, ${sources}))) end)::int`;
}

/** How many of each source one statement may ring: those whose part is full leave theirs to the others. */
export const SHARE = sql`greatest(1, ${RUNG_AT_ONCE} / greatest(1, count(*) filter (where room > rung) over ()))`;

/** How many of a source `r` one statement rings: its share, as far as it has room. */
export const QUOTA = sql`least(r.share, greatest(0, r.room - r.rung))`;

/** `"isCut"` and `"isFull"` of a step that rings `picked` of `shares`, whose sources are told by these columns. */
export function outcomeOf(...source: string[]): RawBuilder<unknown> {
  const columns = sql.join(source.map((column) => sql.ref(column)));
  return sql`select coalesce(sum(counted.count) >= ${RUNG_AT_ONCE} or bool_or(counted.count >= share and share < room - rung), false) as "isCut",
    coalesce(bool_or(counted.count >= room - rung), false) as "isFull"
    from shares left join (select ${columns}, count(*) as count from picked group by ${columns}) of_each using (${columns})
      cross join lateral (select coalesce(of_each.count, 0) as count) counted`;
}

/** What the rows of one step come to. */
export function fillingOf(rows: readonly Rung[]): Filling {
  const bells = rows.flatMap((row) => (row.id === null ? [] : [bellOf(row)]));
  return { bells, isCut: rows.some((row) => row.isCut), isFull: rows.some((row) => row.isFull) };
}
