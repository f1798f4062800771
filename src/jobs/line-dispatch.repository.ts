import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { isThere } from '../storage/is-there.js';
import {
  type Filling,
  fillingOf,
  outcomeOf,
  QUOTA,
  RUNG_AGAIN,
  roomOf,
  type Rung,
  RUNG_AT_ONCE,
  rungOf,
  SHARE,
  windowOf,
} from './dispatch-window.repository.js';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';

/** As the window of single jobs; of a batch's own see {@link windowOf}. */
const WINDOW_OF_LINES = sql.lit(2_000);
/**
 * Most jobs of one batch that wait for a moment of their own. Where more would come to wait, at a provider that is down or
 * full, the rest stays untouched: they would only be turned away there one after the other.
 */
const MOST_WAITING = sql.lit(2_000);
/** What was rung so long ago, or up to twice that, and is not heard is rung again. */
const AGED_SECONDS = sql.lit(15);
/** Of so many batches one step looks for what was not heard. */
const BATCHES_AT_ONCE = sql.lit(10);

/**
 * The SQL of the window, for lines of batches. They are rung in the order of the input, so that it is enough to keep up to which line
 * a batch is rung, and no line is written for it; only those that come out of this order are noted as rung one by one, as single jobs are.
 */
@Injectable()
export class LineDispatchRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Notes some lines of the batches that are open as rung: those whose wait is over first, then the others in the order of the input. A
   * batch that somebody else fills just now is left to him.
   */
  async fill(): Promise<Filling> {
    const { rows } = await sql<Rung>`
      with runs as materialized (
        select batch_id, project_id, priority, rung_to from batch_runs where is_open for no key update skip locked
      ), counted as materialized (
        select *, ${rungOf(sql`jobs.project_id = r.project_id and jobs.batch_id = r.batch_id`, sql`r.priority`)}
          + (select count(*) from (select from jobs where batch_id = r.batch_id and ${UNTOUCHED} and id <= r.rung_to
            limit ${windowOf(sql`r.priority`)}) w) as rung,
          (select count(*) from (select from jobs where batch_id = r.batch_id and status = 'queued' and waiting
            limit ${MOST_WAITING}) w) >= ${MOST_WAITING} as is_crowded
        from runs r
      ), rung as materialized (
        select *, ${isThere(sql`from jobs where ${DUE} order by due_at`)}
          or not is_crowded and ${isThere(sql`from jobs where ${UNRUNG} order by id`)} as has_more
        from counted r
      ), rooms as (select *, ${roomOf(WINDOW_OF_LINES)} as room from rung),
      shares as materialized (select *, ${SHARE} as share from rooms where has_more
      ), picked as materialized (
        select due.*, r.batch_id, r.priority, count(*) over (partition by r.batch_id) >= ${QUOTA} as is_of_many,
          r.rung + row_number() over (partition by r.batch_id order by due.turn, due.id) as place
        from shares r cross join lateral (
          select *, 1 as turn from (select id, dispatch_no from jobs
            where ${DUE} order by due_at limit ${QUOTA} for update skip locked) waited
          union all
          select *, 2 as turn from (select id, dispatch_no from jobs
            where ${UNRUNG} and not r.is_crowded order by id limit ${QUOTA}) others
          order by turn, id limit ${QUOTA}) due
      ), noted as (
        update jobs set rung_at = now() where id = any(array(select id from picked where turn = 1))
      ), moved as (
        update batch_runs set rung_to = last.id, aged_at = coalesce(aged_at, now())
        from (select distinct on (batch_id) batch_id, id from picked where turn = 2 order by batch_id, id desc) last
        where batch_runs.batch_id = last.batch_id
      ), outcome as (${outcomeOf('batch_id')}
      ), others as (select (select count(*) from batch_runs where is_open) > (select count(*) from runs) as are_locked)
      select id, dispatch_no as "dispatchNo", priority, batch_id as "batchId", place::int, is_of_many as "isOfMany", "isCut", "isFull" or are_locked as "isFull"
      from others cross join outcome left join picked on true`.execute(this.db);
    return fillingOf(rows);
  }

  /** Some lines of each of some batches whose bells were rung long ago and not heard; from now on they count as rung just now. */
  async ringAgain(): Promise<JobBell[]> {
    const { rows } = await sql<RungJob>`
      with aged as materialized (
        select batch_id, rung_to, aged_to from batch_runs
        where is_open and aged_at < now() - make_interval(secs => ${AGED_SECONDS})
        order by aged_at limit ${BATCHES_AT_ONCE} for no key update skip locked
      ), unheard as materialized (
        select aged.batch_id, due.id from aged cross join lateral (
          select id from jobs where batch_id = aged.batch_id and ${UNTOUCHED} and id <= aged.aged_to
          order by id limit ${RUNG_AT_ONCE} for update skip locked) due
      ), moved as (
        update batch_runs set aged_to = aged.rung_to, aged_at = now() from aged
        where batch_runs.batch_id = aged.batch_id
          and (select count(*) from unheard where unheard.batch_id = aged.batch_id) < ${RUNG_AT_ONCE}
      ), noted as (update jobs set rung_at = now() where id = any(array(select id from unheard)) returning *)
      select ${RUNG_AGAIN} from noted`.execute(this.db);
    return rows.map(bellOf);
  }
}

/** The lines that are queued in the order of the input, and nothing else was ever done to. */
const UNTOUCHED = sql`status = 'queued' and batch_id is not null and not waiting and rung_at is null and same_as is null`;
const BEFORE_ALL = sql`'00000000-0000-0000-0000-000000000000'::uuid`;
/** Lines of the batch `r` whose wait is over, and those whose turn has not come yet. */
const DUE = sql`batch_id = r.batch_id and status = 'queued' and waiting and rung_at is null and due_at <= now()`;
const UNRUNG = sql`batch_id = r.batch_id and ${UNTOUCHED} and id > coalesce(r.rung_to, ${BEFORE_ALL})`;
const NOTHING_RUNG = sql`rung_to = null, aged_to = null, aged_at = null`;

/** Takes back that these lines were rung: each of their batches is rung up to before the first of them. */
export async function unringLines(db: DatabaseOrTransaction, ids: readonly string[]): Promise<void> {
  await sql`
    with first as materialized (
      select distinct on (batch_id) batch_id, id from jobs
      where id = any(${[...ids]}::uuid[]) and ${UNTOUCHED} order by batch_id, id
    ), locked as materialized (
      select r.batch_id, first.id from batch_runs r join first on r.batch_id = first.batch_id and r.rung_to >= first.id
      order by r.batch_id for no key update of r
    )
    update batch_runs r set rung_to = (
      select jobs.id from jobs where jobs.batch_id = r.batch_id and jobs.id < locked.id order by jobs.id desc limit 1)
    from locked where r.batch_id = locked.batch_id`.execute(db);
}

/** From now on nothing of any batch counts as rung in its order. */
export async function forgetRung(trx: DatabaseOrTransaction): Promise<void> {
  await sql`update batch_runs set ${NOTHING_RUNG} where rung_to is not null`.execute(trx);
}

/** Lets a batch's lines be rung from the beginning, under other names: what was rung while it was closed has no message any more. */
export async function ringAnew(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
  await sql`update jobs set rung_at = null, dispatch_no = dispatch_no + 1 where id in (
    select id from jobs where id = any(array(
      select jobs.id from jobs join batch_runs using (project_id, batch_id)
      where batch_id = ${batchId} and status = 'queued' and rung_at is not null
      union all
      select jobs.id from jobs join batch_runs using (batch_id)
      where batch_id = ${batchId} and ${UNTOUCHED} and jobs.id <= rung_to))
    order by id for no key update)`.execute(trx);
  await sql`update batch_runs set ${NOTHING_RUNG} where batch_id = ${batchId}`.execute(trx);
}
