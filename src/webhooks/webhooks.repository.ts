import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { newUuid } from '../storage/ids.js';
import type { ClaimedDelivery, DeliveryRecord, FinishedTry } from './delivery.js';
import { laneOf, type NewEvent } from './event.js';
import { Lanes } from './lanes.js';
import { type AfterTry, MAX_TRIES } from './schedule.js';

/** Three times what a try may take: only a worker that is gone lets it run out. */
const LEASE = sql.raw(`interval '45 seconds'`);
/** A bell that was rung and not followed by a claim within this time counts as lost. */
const BELL_LIFE = sql.raw(`interval '30 seconds'`);
const EXPIRED_AT_ONCE = 500;

/** How many tries to one receiver a worker process makes at the same time. */
export const LANE_WIDTH = 10;

/** The SQL of events, deliveries and tries. All times are the database's. */
@Injectable()
export class WebhooksRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Writes each event that has a URL, and its delivery, due at once. Gives the bells that the caller rings after the commit:
   * a lane's width of each lane, since more would be turned away; the others are rung as those make room. One statement,
   * however many there are.
   */
  async insertEvents(trx: DatabaseOrTransaction, events: readonly NewEvent[]): Promise<Bell[]> {
    const lanes = new Lanes(LANE_WIDTH);
    const rows = events.flatMap(({ url, ...event }) => {
      if (url === null) return [];
      const lane = laneOf(url);
      return [{ ...event, url, lane, isRung: lanes.enter(lane), id: newUuid(), deliveryId: newUuid() }];
    });
    if (rows.length === 0) return [];
    await sql`
      with happened as (
        select * from unnest(
          ${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.projectId)}::uuid[],
          ${rows.map((row) => row.type)}::text[], ${rows.map((row) => row.jobId)}::uuid[],
          ${rows.map((row) => JSON.stringify(row.data))}::text[], ${rows.map((row) => row.deliveryId)}::uuid[],
          ${rows.map((row) => row.url)}::text[], ${rows.map((row) => row.lane)}::text[],
          ${rows.map((row) => row.isRung)}::boolean[]
        ) as t (id, project_id, type, job_id, data, delivery_id, url, lane, is_rung)
      ), told as (
        insert into webhook_events (id, project_id, type, job_id, data)
        select id, project_id, type, job_id, data from happened
      )
      insert into webhook_deliveries (id, project_id, event_id, job_id, url, lane, rung_at)
      select delivery_id, project_id, id, job_id, url, lane, case when is_rung then now() end from happened
    `.execute(trx);
    return rows.filter((row) => row.isRung).map((row) => ({ id: row.deliveryId, dispatchNo: 1 }));
  }

  /** Takes a due delivery that nobody holds; undefined if it is not due, held, ended or gone. */
  async claim(deliveryId: string): Promise<ClaimedDelivery | undefined> {
    const row = await this.db
      .updateTable('webhook_deliveries as d')
      .from('webhook_events as e')
      .set({ lease_token: sql`d.lease_token + 1`, lease_until: sql`now() + ${LEASE}` })
      .whereRef('e.id', '=', 'd.event_id')
      .where('d.id', '=', deliveryId)
      .where('d.status', '=', 'pending')
      .where('d.due_at', '<=', sql<Date>`now()`)
      .where('d.lease_until', 'is', null)
      .returning(['d.id', 'd.project_id', 'd.url', 'd.lane', 'd.lease_token'])
      .returning(['e.id as event_id', 'e.type', 'e.created_at', 'e.data'])
      .executeTakeFirst();
    if (!row) return undefined;
    return {
      id: row.id,
      projectId: row.project_id,
      url: row.url,
      lane: row.lane,
      leaseToken: row.lease_token,
      event: { id: row.event_id, type: row.type, createdAt: row.created_at, data: row.data },
    };
  }

  /** Gives back a delivery that was claimed but not tried: it is due as before, and no bell is on its way. */
  async putBack({ id, leaseToken }: ClaimedDelivery): Promise<void> {
    await this.db
      .updateTable('webhook_deliveries')
      .set({ lease_until: null, rung_at: null, dispatch_no: sql`dispatch_no + 1` })
      .where('id', '=', id)
      .where('lease_token', '=', leaseToken)
      .execute();
  }

  /** Writes the row of a try that is about to be made. Undefined if the lease is lost. */
  async beginTry({
    id,
    leaseToken,
  }: ClaimedDelivery): Promise<{ index: number; startedAt: Date } | undefined> {
    const { rows } = await sql<{ index: number; startedAt: Date }>`
      with begun as (
        update webhook_deliveries set try_count = try_count + 1
        where id = ${id} and lease_token = ${leaseToken} and lease_until is not null
        returning id, project_id, try_count
      )
      insert into webhook_tries (delivery_id, project_id, index) select id, project_id, try_count - 1 from begun
      returning index, started_at as "startedAt"
    `.execute(this.db);
    return rows[0];
  }

  /**
   * Writes how a try ended and what becomes of the delivery. A worker that lost its lease writes only on its own try: the
   * delivery is another's by now.
   */
  async finishTry({ id, leaseToken }: ClaimedDelivery, ended: FinishedTry, after: AfterTry): Promise<void> {
    const error = after.type === 'succeeded' ? null : ended.error;
    const isAgain = after.type === 'again';
    await sql`
      with kept as (
        update webhook_tries set duration_ms = ${ended.durationMs}, http_status = ${ended.httpStatus},
          error = ${ended.error}, response_text = ${ended.responseText}
        where delivery_id = ${id} and index = ${ended.index}
      )
      update webhook_deliveries set
        status = ${isAgain ? 'pending' : after.type}, lease_until = null, last_error = ${error},
        due_at = case when ${isAgain} then now() + ${isAgain ? after.delayMs : 0}::float8 * interval '1 ms' else due_at end,
        finished_at = case when ${isAgain} then null else now() end,
        dispatch_no = dispatch_no + 1, rung_at = null
      where id = ${id} and lease_token = ${leaseToken} and lease_until is not null
    `.execute(this.db);
  }

  /**
   * Frees deliveries whose worker is gone: due at once, or failed if that was the last try. A try that was running stays in
   * the record as interrupted. Gives how many there were.
   */
  async freeExpired(): Promise<number> {
    const { rows } = await sql`
      with expired as (
        select id from webhook_deliveries
        where lease_until < now()
        limit ${EXPIRED_AT_ONCE} for update skip locked
      ), cut_off as (
        update webhook_tries t set error = 'interrupted' from expired
        where t.delivery_id = expired.id and t.duration_ms is null and t.error is null
      )
      update webhook_deliveries d set
        status = case when d.try_count >= ${MAX_TRIES} then 'failed' else 'pending' end,
        finished_at = case when d.try_count >= ${MAX_TRIES} then now() end,
        last_error = 'interrupted', lease_until = null, lease_token = d.lease_token + 1,
        dispatch_no = d.dispatch_no + 1, rung_at = null
      from expired where d.id = expired.id
      returning d.id
    `.execute(this.db);
    return rows.length;
  }

  /**
   * The bells of deliveries that are due and not yet rung, or whose bell was lost; from then on they count as rung. Few of
   * each lane at once, drawn by lot: a long tail behind one receiver keeps nobody from being heard. It hops from lane to
   * lane along the index, so that it takes as long as there are receivers, not deliveries.
   */
  async ringDue(limit: number): Promise<Bell[]> {
    const { rows } = await sql<Bell>`
      with recursive lanes as (
        (select lane from webhook_deliveries where status = 'pending' order by lane limit 1)
        union all
        select (select lane from webhook_deliveries where status = 'pending' and lane > l.lane order by lane limit 1)
        from lanes l where l.lane is not null
      ), picked as (
        select due.id from lanes cross join lateral (
          select id from webhook_deliveries d
          where d.lane = lanes.lane and d.status = 'pending' and d.due_at <= now() and d.lease_until is null
            and (d.rung_at is null or d.rung_at < now() - ${BELL_LIFE})
          order by d.due_at limit ${LANE_WIDTH} for update skip locked
        ) due
        order by random() limit ${limit}
      )
      update webhook_deliveries d set rung_at = now() from picked where d.id = picked.id
      returning d.id, d.dispatch_no as "dispatchNo"
    `.execute(this.db);
    return rows;
  }

  /** The bell of the one delivery of a lane that has been due for longest and is not rung; none if there is none. */
  async ringNext(lane: string): Promise<Bell[]> {
    const { rows } = await sql<Bell>`
      update webhook_deliveries d set rung_at = now()
      where d.id = (
        select id from webhook_deliveries
        where lane = ${lane} and status = 'pending' and due_at <= now() and lease_until is null and rung_at is null
        order by due_at limit 1 for update skip locked
      )
      returning d.id, d.dispatch_no as "dispatchNo"
    `.execute(this.db);
    return rows;
  }

  /** Marks deliveries whose bell could not be rung, so that the next sweep rings them. */
  async forgetBells(bells: readonly Bell[]): Promise<void> {
    await sql`
      update webhook_deliveries set rung_at = null
      where id = any(${bells.map((bell) => bell.id)}::uuid[]) and lease_until is null
    `.execute(this.db);
  }

  /** All deliveries of a job with their tries, oldest first; undefined if the project has no such job. */
  async byJob(projectId: string, jobId: string): Promise<DeliveryRecord[] | undefined> {
    const job = this.db
      .selectFrom('jobs')
      .select('id')
      .where('id', '=', jobId)
      .where('project_id', '=', projectId);
    if (!(await job.executeTakeFirst())) return undefined;
    const deliveries = await this.db
      .selectFrom('webhook_deliveries as d')
      .innerJoin('webhook_events as e', 'e.id', 'd.event_id')
      .where('d.job_id', '=', jobId)
      .orderBy('d.id')
      .select([
        'd.id',
        'd.event_id as eventId',
        'e.type as eventType',
        'd.job_id as jobId',
        'd.url',
        'd.status',
      ])
      .select(['d.try_count as tryCount', 'd.created_at as createdAt', 'd.due_at as dueAt'])
      .select(['d.finished_at as finishedAt', 'd.last_error as lastError'])
      .execute();
    const tries = await this.db
      .selectFrom('webhook_tries as t')
      .innerJoin('webhook_deliveries as d', 'd.id', 't.delivery_id')
      .where('d.job_id', '=', jobId)
      .orderBy('t.index')
      .select([
        't.delivery_id as deliveryId',
        't.index',
        't.started_at as startedAt',
        't.duration_ms as durationMs',
      ])
      .select(['t.http_status as httpStatus', 't.error', 't.response_text as responseText'])
      .execute();
    return deliveries.map((row) => ({ ...row, tries: tries.filter((one) => one.deliveryId === row.id) }));
  }

  /** The sealed default secret of a project. Throws if there is no such project. */
  async defaultSecret(projectId: string): Promise<Buffer | null> {
    const project = this.db.selectFrom('projects').select('webhook_secret').where('id', '=', projectId);
    return (await project.executeTakeFirstOrThrow()).webhook_secret;
  }

  /** Keeps a sealed default secret unless there is one already; gives the one that is kept. */
  async keepDefaultSecret(projectId: string, sealed: Buffer): Promise<Buffer> {
    const { webhook_secret } = await this.db
      .updateTable('projects')
      .set({ webhook_secret: sql<Buffer>`coalesce(webhook_secret, ${sealed})` })
      .where('id', '=', projectId)
      .returning('webhook_secret')
      .executeTakeFirstOrThrow();
    if (!webhook_secret) throw new Error(`The webhook secret of project ${projectId} was not kept`);
    return webhook_secret;
  }
}
