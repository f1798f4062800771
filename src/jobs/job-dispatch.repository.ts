import { Inject, Injectable } from '@nestjs/common';
import { type RawBuilder, sql } from 'kysely';
import { DATABASE, type Database } from '../storage/database.js';
import { isNewEpoch } from '../storage/queue-epochs.js';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';

/** A bell that was rung this long ago and not heard is rung again; while its message still waits that changes nothing. */
const RING_AGAIN_SECONDS = 30;
/**
 * Most jobs of one source (a project's own jobs, or a batch) and of normal priority that are rung and not taken yet; of high
 * and low ones see {@link windowOf}.
 */
const WINDOW = 500;
/** Most single jobs, and most lines, that are rung and not taken yet, but each source may have {@link LEAST_WINDOW}. */
const WINDOW_OF_JOBS = 20_000;
const WINDOW_OF_LINES = 2_000;
const LEAST_WINDOW = 20;
/** About so many are rung by one statement, so that none takes long. */
export const RUNG_AT_ONCE = 100;
/**
 * Most jobs of one batch that wait for a moment of their own. Where more would come to wait, at a provider that is down or
 * full, the rest stays untouched: they would only be turned away there one after the other.
 */
const MOST_WAITING = 2_000;

/** What one step of filling the window came to. */
export interface Filling {
  readonly bells: JobBell[];
  /** Whether a source has its part of the window full: then there may be more to ring as soon as some are taken. */
  readonly isFull: boolean;
}

type Rung = RungJob & { readonly isFull: boolean };

/**
 * The SQL of the window: the bounded number of jobs that are rung and not taken yet. The rest waits in the table, so that
 * the queue's memory does not grow with the backlog. No step looks at more of the backlog than it rings.
 */
@Injectable()
export class JobDispatchRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Notes some jobs that were submitted by themselves, are due and not rung as rung, as far as their projects' windows have room:
   * as many of each project and priority.
   */
  async fillJobs(): Promise<Filling> {
    // Hops from project to project and from priority to priority along the index, however long the backlog is.
    const { rows } = await sql<Rung>`
      with recursive sources as (
        (select project_id, priority from jobs where ${BACKLOG} order by project_id, priority limit 1)
        union all
        select next.project_id, next.priority from sources s cross join lateral (
          select project_id, priority from jobs
          where ${BACKLOG} and (project_id, priority) > (s.project_id, s.priority)
          order by project_id, priority limit 1) next
      ), rung as (
        select project_id, priority, ${rungOf(sql`jobs.project_id = s.project_id and jobs.batch_id is null`, sql`s.priority`)} as rung
        from sources s
      ), rooms as (select *, ${roomOf(WINDOW_OF_JOBS)} as room, ${SHARE} as share from rung),
      picked as (
        select due.id, r.room, r.rung + row_number() over (partition by r.project_id, r.priority order by due.due_at) as place
        from rooms r cross join lateral (
          select id, due_at from jobs
          where ${BACKLOG} and project_id = r.project_id and priority = r.priority and due_at <= now()
          order by due_at limit ${QUOTA} for update skip locked) due
      )
      ${RING} null as "batchId", place::int, place >= room as "isFull"`.execute(this.db);
    return fillingOf(rows);
  }

  /**
   * As {@link fillJobs}, for the lines of the batches that are open: those whose wait is over first, then the others in the
   * order of the input.
   */
  async fillLines(): Promise<Filling> {
    const { rows } = await sql<Rung>`
      with rung as (
        select batch_id, priority, ${rungOf(sql`jobs.project_id = r.project_id and jobs.batch_id = r.batch_id`, sql`r.priority`)} as rung
        from batch_runs r where is_open
      ), rooms as (
        select *, ${roomOf(WINDOW_OF_LINES)} as room, ${SHARE} as share,
          (select count(*) from (select from jobs where batch_id = rung.batch_id and status = 'queued' and waiting
            limit ${MOST_WAITING}) w) as waiting
        from rung
      ), picked as (
        select due.id, r.room, r.rung + row_number() over (partition by r.batch_id order by due.turn, due.id) as place
        from rooms r cross join lateral (
          select id, 1 as turn from (select id from jobs
            where batch_id = r.batch_id and status = 'queued' and waiting and rung_at is null and due_at <= now()
            order by due_at limit ${QUOTA} for update skip locked) waited
          union all
          select id, 2 as turn from (select id from jobs
            where batch_id = r.batch_id and status = 'queued' and not waiting and rung_at is null and same_as is null
              and due_at <= now() and r.waiting < ${MOST_WAITING}
            order by id limit ${QUOTA} for update skip locked) others
          order by turn, id limit ${QUOTA}) due
      )
      ${RING} jobs.batch_id as "batchId", place::int, place >= room as "isFull"`.execute(this.db);
    return fillingOf(rows);
  }

  /**
   * Notes who the queue's store says it is. If it is another than before, what was rung may be lost: none of it counts as rung
   * any more, and true is answered. Messages that are still there are not sent twice.
   */
  async noteEpoch(epoch: string): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      if (!(await isNewEpoch(trx, 'jobs', epoch))) return false;
      await sql`update jobs set rung_at = null where status = 'queued' and rung_at is not null`.execute(trx);
      return true;
    });
  }

  /** The jobs whose bell was rung long ago and not heard; from now on they count as rung just now. */
  async ringAgain(limit: number): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      update jobs set rung_at = now() where id = any(array(
        select id from jobs
        where status = 'queued' and rung_at < now() - make_interval(secs => ${RING_AGAIN_SECONDS})
        limit ${limit} for update skip locked))
      returning id, ${RUNG_COLUMNS}`.execute(this.db);
    return rows.map(bellOf);
  }

  /** Takes back that these bells were rung, so that the next filling rings them. */
  async unring(ids: readonly string[]): Promise<void> {
    await sql`update jobs set rung_at = null where id = any(${ids}::uuid[]) and status = 'queued'`.execute(
      this.db,
    );
  }

  /**
   * Gives a job back by who has its message in his hands and no slot for it: it is to be rung at once, before all others, under another
   * name, since one of the same name would be taken for the message that is still there. No bell for one that may not run.
   */
  async giveBack(jobId: string): Promise<JobBell[]> {
    const { rows } = await sql<RungJob & { isRung: boolean }>`
      update jobs set rung_at = case when ${MAY_RUN} then now() end, dispatch_no = dispatch_no + 1
      where id = ${jobId} and status = 'queued'
      returning id, ${RUNG_COLUMNS}, rung_at is not null as "isRung"`.execute(this.db);
    return rows.filter((row) => row.isRung).map(bellOf);
  }

  /** Makes due up to `limit` jobs that wait for room there, the most urgent and oldest first; answers their bells. */
  async wake(parkedOn: string, limit: number): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      update jobs set due_at = now(), woken = true, rung_at = now() where id = any(array(
        select id from jobs where parked_on = ${parkedOn} and status = 'queued' and not woken and ${MAY_RUN}
        order by priority, id limit ${limit} for update skip locked))
      returning id, ${RUNG_COLUMNS}`.execute(this.db);
    return rows.map(bellOf);
  }
}

/** What is told of a job that is rung before its turn, beside its id. */
export const RUNG_COLUMNS = sql`dispatch_no as "dispatchNo", priority, batch_id as "batchId", 1 as place`;

export const BACKLOG = sql`status = 'queued' and rung_at is null and batch_id is null`;

/** A line of a batch that is paused, or not read to its end, may not run. */
export const MAY_RUN = sql`(batch_id is null or exists (
  select from batch_runs where batch_runs.batch_id = jobs.batch_id and batch_runs.is_open))`;

// By an array: else the planner, which can't know how few there are, reads the whole table to join it.
const RING = sql`
  update jobs set rung_at = now() from picked where jobs.id = any(array(select id from picked)) and jobs.id = picked.id
  returning jobs.id, jobs.dispatch_no as "dispatchNo", jobs.priority,`;

/** How many jobs of a source and priority are rung and not taken; counts no further than a window. */
export function rungOf(source: RawBuilder<unknown>, priority: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(select count(*) from (select from jobs where ${source} and jobs.priority = ${priority}
    and jobs.status = 'queued' and jobs.rung_at is not null limit ${windowOf(priority)}) w)`;
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
function roomOf(windowOfAll: number): RawBuilder<unknown> {
  return sql`ceil(${partOf(sql`priority`)} * case when sum(rung) over () >= ${windowOfAll} then ${LEAST_WINDOW}
    else greatest(${LEAST_WINDOW}, least(${WINDOW}, ${windowOfAll} / count(*) over ())) end)::int`;
}

/** How many of a source `r` one statement rings: its share, as far as it has room. */
const QUOTA = sql`least(r.share, greatest(0, r.room - r.rung))`;

/** How many of each source one statement may ring. */
const SHARE = sql`greatest(1, ${RUNG_AT_ONCE} / count(*) over ())`;

function fillingOf(rows: readonly Rung[]): Filling {
  return { bells: rows.map(bellOf), isFull: rows.some((row) => row.isFull) };
}
