import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { PLANNED_ANEW } from '../storage/clients.js';
import { DATABASE, type Database } from '../storage/database.js';
import { isNewEpoch } from '../storage/queue-epochs.js';
import {
  ALONE,
  BACKLOG,
  type Filling,
  fillingOf,
  MAY_RUN,
  outcomeOf,
  QUOTA,
  RING_AGAIN_SECONDS,
  RUNG_AT_ONCE,
  RUNG_AGAIN,
  RUNG_FIRST,
  type Rung,
  roomOf,
  rungOf,
  SHARE,
} from './dispatch-window.repository.js';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';
import { forgetRung, unringLines } from './line-dispatch.repository.js';

/** Most single jobs that are rung and not taken yet, but each source may have its least. */
const WINDOW_OF_JOBS = sql.lit(20_000);

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
  async fill(): Promise<Filling> {
    // Hops from project to project and from priority to priority along the index, however long the backlog is.
    const { rows } = await sql<Rung>`
      with recursive ${sql.raw(PLANNED_ANEW)} sources as (
        (select project_id, priority, due_at from jobs where ${BACKLOG} order by project_id, priority, due_at limit 1)
        union all
        select next.* from sources s cross join lateral (
          select project_id, priority, due_at from jobs
          where ${BACKLOG} and (project_id, priority) > (s.project_id, s.priority)
          order by project_id, priority, due_at limit 1) next
      ), rung as materialized (
        select project_id, priority, due_at <= now() as has_more,
          ${rungOf(sql`jobs.project_id = s.project_id and jobs.batch_id is null`, sql`s.priority`)} as rung
        from sources s
      ), rooms as (select *, ${roomOf(WINDOW_OF_JOBS)} as room from rung),
      shares as materialized (select *, ${SHARE} as share from rooms where has_more),
      picked as materialized (
        select due.id, r.project_id, r.priority,
          r.rung + row_number() over (partition by r.project_id, r.priority order by due.due_at) as place
        from shares r cross join lateral (
          select id, due_at from jobs
          where ${BACKLOG} and project_id = r.project_id and priority = r.priority and due_at <= now()
          order by due_at limit ${QUOTA} for update skip locked) due
        -- With more sources than that, those that have the least in the window.
        order by place limit ${RUNG_AT_ONCE}
      ), noted as (
        -- By an array: else the planner, which can't know how few there are, reads the whole table to join it.
        update jobs set rung_at = now() from picked where jobs.id = any(array(select id from picked)) and jobs.id = picked.id
        returning jobs.id, jobs.dispatch_no as "dispatchNo", jobs.priority, null::uuid as "batchId", place::int,
          place > ${ALONE} as "isOfMany"
      ), outcome as (${outcomeOf('project_id', 'priority')})
      select noted.*, outcome.* from outcome left join noted on true`.execute(this.db);
    return fillingOf(rows);
  }

  /**
   * Notes who the queue's store says it is. If it is another than before, what was rung may be lost: none of it counts as rung
   * any more, and true is answered. Messages that are still there are not sent twice.
   */
  async noteEpoch(epoch: string): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      if (!(await isNewEpoch(trx, 'jobs', epoch))) return false;
      await forgetRung(trx);
      await sql`update jobs set rung_at = null where status = 'queued' and rung_at is not null`.execute(trx);
      return true;
    });
  }

  /** The jobs whose bell was rung long ago and not heard; from now on they count as rung just now. */
  async ringAgain(): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      with unheard as (
        update jobs set rung_at = now() where id = any(array(
          select id from jobs
          where status = 'queued' and rung_at < now() - make_interval(secs => ${RING_AGAIN_SECONDS})
          limit ${RUNG_AT_ONCE} for update skip locked))
        returning *)
      select ${RUNG_AGAIN} from unheard`.execute(this.db);
    return rows.map(bellOf);
  }

  /** Takes back that these bells were rung, so that the next filling rings them. */
  async unring(ids: readonly string[]): Promise<void> {
    await unringLines(this.db, ids);
    // A line that was rung by itself is behind its batch's mark.
    await sql`update jobs set rung_at = null, waiting = waiting or batch_id is not null
      where id = any(${ids}::uuid[]) and status = 'queued' and rung_at is not null`.execute(this.db);
  }

  /**
   * Gives a job back by who has its message in his hands and no slot for it: it is to be rung at once, before all others, under another
   * name, since one of the same name would be taken for the message that is still there. No bell for one that may not run.
   */
  async giveBack(jobId: string): Promise<JobBell[]> {
    const { rows } = await sql<RungJob & { isRung: boolean }>`
      update jobs set rung_at = case when ${MAY_RUN} then now() end, dispatch_no = dispatch_no + 1
      where id = ${jobId} and status = 'queued'
      returning ${RUNG_FIRST}, rung_at is not null as "isRung"`.execute(this.db);
    return rows.filter((row) => row.isRung).map(bellOf);
  }

  /** Makes due up to `limit` jobs that wait for room there, the most urgent and oldest first; answers their bells. */
  async wake(parkedOn: string, limit: number): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      update jobs set due_at = now(), woken = true, rung_at = now() where id = any(array(
        select id from jobs where parked_on = ${parkedOn} and status = 'queued' and not woken and ${MAY_RUN}
        order by priority, id limit ${limit} for update skip locked))
      returning ${RUNG_FIRST}`.execute(this.db);
    return rows.map(bellOf);
  }
}
