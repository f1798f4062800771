import { Inject, Injectable } from '@nestjs/common';
import { type RawBuilder, sql } from 'kysely';
import { DATABASE, type Database } from '../storage/database.js';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';

/** A bell that was rung this long ago and not heard is rung again; while its message still waits that changes nothing. */
const RING_AGAIN_SECONDS = 30;
/** Most jobs of one source (a project's own jobs, or a batch) that are rung and not taken yet. */
export const WINDOW = 500;
/** Most jobs of all batches together that are rung and not taken yet, but each batch may have {@link LEAST_WINDOW}. */
const WINDOW_OF_ALL = 2_000;
const LEAST_WINDOW = 20;
/**
 * Most jobs of one batch that wait for a moment of their own. Where more would come to wait, at a provider that is down or
 * full, the rest stays untouched: they would only be turned away there one after the other.
 */
const MOST_WAITING = 2_000;

/** What one filling of the window came to. */
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

  /** Notes jobs that were submitted by themselves, are due and not rung as rung, as far as their projects' windows have room. */
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
      ), rooms as (
        select project_id, ${rungOf(sql`jobs.project_id = p.project_id and jobs.batch_id is null`)} as rung
        from (select distinct project_id from sources) p
      ), picked as (
        select due.id, r.rung + row_number() over (partition by r.project_id order by due.priority, due.due_at) as place
        from rooms r cross join lateral (
          select d.id, d.priority, d.due_at from (values (1), (2), (3)) as p (priority) cross join lateral (
            select id, priority, due_at from jobs
            where ${BACKLOG} and project_id = r.project_id and priority = p.priority and due_at <= now()
            order by due_at limit greatest(0, ${WINDOW} - r.rung) for update skip locked) d
          order by d.priority, d.due_at limit greatest(0, ${WINDOW} - r.rung)) due
      )
      ${RING} false as "isLine", place::int, place >= ${WINDOW} as "isFull"`.execute(this.db);
    return fillingOf(rows);
  }

  /**
   * As {@link fillJobs}, for the lines of the batches that are open: those whose wait is over first, then the others in the
   * order of the input.
   */
  async fillLines(): Promise<Filling> {
    const { rows } = await sql<Rung>`
      with open as (
        select batch_id, ${rungOf(sql`jobs.project_id = r.project_id and jobs.batch_id = r.batch_id`)} as rung
        from batch_runs r where is_open
      ), rooms as (
        select batch_id, rung,
          (select count(*) from (select from jobs where batch_id = open.batch_id and status = 'queued' and waiting
            limit ${MOST_WAITING}) w) as waiting,
          case when sum(rung) over () >= ${WINDOW_OF_ALL} then ${LEAST_WINDOW}
            else greatest(${LEAST_WINDOW}, least(${WINDOW}, ${WINDOW_OF_ALL} / count(*) over ())) end as room
        from open
      ), picked as (
        select due.id, r.rung + row_number() over (partition by r.batch_id order by due.turn, due.id) as place, r.room
        from rooms r cross join lateral (
          select id, 1 as turn from (select id from jobs
            where batch_id = r.batch_id and status = 'queued' and waiting and rung_at is null and due_at <= now()
            order by due_at limit greatest(0, r.room - r.rung) for update skip locked) waited
          union all
          select id, 2 as turn from (select id from jobs
            where batch_id = r.batch_id and status = 'queued' and not waiting and rung_at is null and same_as is null
              and due_at <= now() and r.waiting < ${MOST_WAITING}
            order by id limit greatest(0, r.room - r.rung) for update skip locked) others
          order by turn, id limit greatest(0, r.room - r.rung)) due
      )
      ${RING} true as "isLine", place::int, place >= room as "isFull"`.execute(this.db);
    return fillingOf(rows);
  }

  /** The jobs whose bell was rung long ago and not heard; from now on they count as rung just now. */
  async ringAgain(limit: number): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      update jobs set rung_at = now() where id = any(array(
        select id from jobs
        where status = 'queued' and rung_at < now() - make_interval(secs => ${RING_AGAIN_SECONDS})
        limit ${limit} for update skip locked))
      returning id, dispatch_no as "dispatchNo", priority, batch_id is not null as "isLine", 0 as place`.execute(
      this.db,
    );
    return rows.map(bellOf);
  }

  /** Takes back that these bells were rung, so that the next filling rings them. */
  async unring(ids: readonly string[]): Promise<void> {
    await sql`update jobs set rung_at = null where id = any(${ids}::uuid[]) and status = 'queued'`.execute(
      this.db,
    );
  }

  /** Makes due up to `limit` jobs that wait for room there, the most urgent and oldest first; answers their bells. */
  async wake(parkedOn: string, limit: number): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      update jobs set due_at = now(), woken = true, rung_at = now() where id = any(array(
        select id from jobs where parked_on = ${parkedOn} and status = 'queued' and not woken and ${MAY_RUN}
        order by priority, id limit ${limit} for update skip locked))
      returning id, dispatch_no as "dispatchNo", priority, batch_id is not null as "isLine", 0 as place`.execute(
      this.db,
    );
    return rows.map(bellOf);
  }
}

const BACKLOG = sql`status = 'queued' and rung_at is null and batch_id is null`;

/** A line of a batch that is paused, or not read to its end, may not run. */
export const MAY_RUN = sql`(batch_id is null or exists (
  select from batch_runs where batch_runs.batch_id = jobs.batch_id and batch_runs.is_open))`;

// By an array: else the planner, which can't know how few there are, reads the whole table to join it.
const RING = sql`
  update jobs set rung_at = now() from picked where jobs.id = any(array(select id from picked)) and jobs.id = picked.id
  returning jobs.id, jobs.dispatch_no as "dispatchNo", jobs.priority,`;

/** How many jobs of a source are rung and not taken; counts no further than a window. */
export function rungOf(source: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(select count(*) from (
    select from jobs where ${source} and jobs.status = 'queued' and jobs.rung_at is not null limit ${WINDOW}) w)`;
}

function fillingOf(rows: readonly Rung[]): Filling {
  return { bells: rows.map(bellOf), isFull: rows.some((row) => row.isFull) };
}
