import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { newUuid, toPublicId } from '../storage/ids.js';
import { LEASE_SECONDS } from '../storage/lease.js';
import { isNewEpoch } from '../storage/queue-epochs.js';
import { tableOf } from '../storage/table-of.js';
import type { BegunTry, ClaimedDelivery, FinishedTry } from './delivery.js';
import type { EventType, InlineResult, NewEvent, StoredEvent } from './event.js';
import { type AfterTry, MAX_TRIES } from './schedule.js';

const LEASE = sql.raw(`interval '${LEASE_SECONDS} seconds'`);
/** A bell that was rung and not followed by a claim within this time counts as lost. */
const BELL_LIFE = sql.raw(`interval '30 seconds'`);
const EXPIRED_AT_ONCE = 500;

/** How many tries are made to one receiver at the same time, by all workers together. */
export const LANE_WIDTH = 10;
/** To an endpoint that answers nothing but failures fewer go, so that many dead ones do not take all the places there are. */
const FAILING_LANE_WIDTH = 2;
/** How many tries of one project are under way at the same time: a part of the places that one worker has. */
const MOST_OF_PROJECT = 250;
/** Why nothing is sent to an endpoint that is disabled or deleted. */
export const SWITCHED_OFF = 'the endpoint is switched off';

/** A result that is longer is not sent along, in bytes. */
const LONGEST_INLINE = 256 * 1024;

/** How many tries there may be to the endpoint `p`, or to a URL where there is none. */
const WIDTH = sql`case when p.failing_since is null then ${LANE_WIDTH}::int else ${FAILING_LANE_WIDTH}::int end`;

/** Whether a delivery `d` is due and held by nobody. */
const MAY_BE_TRIED = sql`d.status = 'pending' and d.due_at <= now() and d.lease_until is null`;

/** What a claim is made of: the delivery beside its event, and its endpoint's settings as they are now. */
type ClaimedRow = Omit<ClaimedDelivery, 'event'> & Omit<StoredEvent, 'id'> & { readonly eventId: string };

/** The SQL of sending: claims, tries, ends, bells. All times are the database's. */
@Injectable()
export class DeliveryStepsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Takes a due delivery that nobody holds; undefined if it is not due, held, ended or gone, if its endpoint is switched off (then
   * it has failed), or if its lane is full (then it is rung again when there is room).
   */
  async claim(deliveryId: string): Promise<ClaimedDelivery | undefined> {
    return this.db.transaction().execute(async (trx) => {
      // Those who claim in one lane wait for each other here, so that the count below is of all of them.
      const { rows } = await sql`
        select pg_advisory_xact_lock(hashtextextended('webhook lane ' || lane, 0)) from webhook_deliveries
        where id = ${deliveryId} and status = 'pending'`.execute(trx);
      if (rows.length === 0) return undefined;
      const sources = sql`(
        select held.id, e.id as event_id, e.type, e.created_at, e.data, p.url, coalesce(p.include_result, false) as include_result,
          p.id is not null and (p.disabled_at is not null or p.deleted_at is not null) as is_off,
          ${WIDTH} as width
        from webhook_deliveries held join webhook_events e on e.id = held.event_id
          left join webhook_endpoints p on p.id = held.endpoint_id
        where held.id = ${deliveryId}) x`;
      const { rows: claimed } = await sql<ClaimedRow>`
        update webhook_deliveries d set lease_token = d.lease_token + 1, lease_until = now() + ${LEASE},
          url = coalesce(x.url, d.url)
        from ${sources}
        where d.id = x.id and ${MAY_BE_TRIED} and not x.is_off and (
          select count(*) from webhook_deliveries o where o.lane = d.lane and o.lease_until is not null) < x.width
          and (select count(*) from webhook_deliveries o where o.project_id = d.project_id
            and o.lease_until is not null) < ${MOST_OF_PROJECT}
        returning d.id, d.project_id as "projectId", d.endpoint_id as "endpointId", d.job_id as "jobId", d.url, d.lane,
          d.lease_token as "leaseToken", x.event_id as "eventId", x.type, x.created_at as "createdAt", x.data,
          x.include_result as "includeResult",
          d.is_sample as "isSample"`.execute(trx);
      if (claimed[0]) return toClaimed(claimed[0]);
      await sql`
        update webhook_deliveries d set rung_at = null, dispatch_no = dispatch_no + 1,
          status = case when x.is_off then 'failed' else d.status end,
          last_error = case when x.is_off then ${SWITCHED_OFF} else d.last_error end,
          finished_at = case when x.is_off then now() end
        from ${sources} where d.id = x.id and ${MAY_BE_TRIED}`.execute(trx);
      return undefined;
    });
  }

  /**
   * Writes a sample event and its delivery to an endpoint, as the last try that it has and already claimed: who asked for it makes
   * the try at once, and there is none after it. Undefined if the endpoint's lane is full.
   */
  async insertSample(
    { id, projectId, url }: { readonly id: string; readonly projectId: string; readonly url: string },
    type: EventType,
    data: NewEvent['data'],
  ): Promise<ClaimedDelivery | undefined> {
    const { rows } = await sql<ClaimedRow>`
      with told as (
        insert into webhook_events (id, project_id, type, data)
        select ${newUuid()}::uuid, ${projectId}::uuid, ${type}, ${JSON.stringify(data)}
        where (select count(*) from webhook_deliveries where lane = ${id} and lease_until is not null) < ${LANE_WIDTH}
        returning *
      ), made as (
        insert into webhook_deliveries (id, project_id, event_id, event_type, endpoint_id, url, lane, is_sample, first_try,
          lease_token, lease_until)
        select gen_random_uuid(), project_id, id, type, ${id}::uuid, ${url}, ${id}, true, ${1 - MAX_TRIES}::int, 1, now() + ${LEASE} from told
        returning *
      )
      select made.id, made.project_id as "projectId", made.endpoint_id as "endpointId", made.job_id as "jobId", made.url,
        made.lane, made.lease_token as "leaseToken", told.id as "eventId", told.type, told.created_at as "createdAt",
        told.data, false as "includeResult", made.is_sample as "isSample" from made, told`.execute(this.db);
    return rows[0] && toClaimed(rows[0]);
  }

  /** What a receiver that asked for results gets of this job's: its answer, or where that is read; null if it has none, or it is forgotten. */
  async resultOf(jobId: string): Promise<InlineResult | null> {
    const { rows } = await sql<{ body: string | null }>`
      select case when octet_length(body) <= ${LONGEST_INLINE} then body end as body
      from job_responses where job_id = ${jobId} and sha256 is null`.execute(this.db);
    if (!rows[0]) return null;
    const { body } = rows[0];
    return body === null
      ? { type: 'elsewhere', path: `/v1/jobs/${toPublicId('job', jobId)}` }
      : { type: 'inline', json: body };
  }

  /** Writes the row of a try that is about to be made. Undefined if the lease is lost. */
  async beginTry({ id, leaseToken }: ClaimedDelivery): Promise<BegunTry | undefined> {
    const { rows } = await sql<BegunTry>`
      with begun as (
        update webhook_deliveries set try_count = try_count + 1
        where id = ${id} and lease_token = ${leaseToken} and lease_until is not null
        returning id, project_id, try_count, first_try
      ), written as (
        insert into webhook_tries (delivery_id, project_id, index) select id, project_id, try_count - 1 from begun
        returning index, started_at
      )
      select index, index - first_try as place, started_at as "startedAt" from written, begun
    `.execute(this.db);
    return rows[0];
  }

  /** Keeps the leases of deliveries that are being tried; those that are lost stay lost. */
  async renew(deliveries: readonly ClaimedDelivery[]): Promise<void> {
    await sql`
      update webhook_deliveries set lease_until = now() + ${LEASE}
      where id in (
        select d.id
        from ${tableOf('held', deliveries, { id: ['uuid', ({ id }) => id], token: ['int', ({ leaseToken }) => leaseToken] })}
        join webhook_deliveries d on d.id = held.id and d.lease_token = held.token and d.lease_until is not null
        order by d.id for no key update of d)`.execute(this.db);
  }

  /** As for jobs: if the queue's store is another than before, no bell counts as rung any more, and true is answered. */
  async noteEpoch(epoch: string): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      if (!(await isNewEpoch(trx, 'webhooks', epoch))) return false;
      await sql`update webhook_deliveries set rung_at = null
        where status = 'pending' and rung_at is not null and lease_until is null`.execute(trx);
      return true;
    });
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
        status = ${isAgain ? 'pending' : after.type}, lease_until = null,
        first_try = first_try + ${isAgain && after.isInterrupted === true ? 1 : 0}::int, last_error = ${error},
        due_at = case when ${isAgain} then now() + ${isAgain ? after.delayMs : 0}::float8 * interval '1 ms' else due_at end,
        finished_at = case when ${isAgain} then null else now() end,
        carried_result = carried_result or ${after.type === 'succeeded' && ended.carriedResult}::boolean,
        dispatch_no = dispatch_no + 1, rung_at = null
      where id = ${id} and lease_token = ${leaseToken} and lease_until is not null
    `.execute(this.db);
  }

  /**
   * Frees deliveries whose worker is gone: due at once, with as many tries before them as they had. A try that was running stays in
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
        returning t.delivery_id
      )
      update webhook_deliveries d set
        status = case when d.is_sample then 'failed' else 'pending' end,
        finished_at = case when d.is_sample then now() end,
        first_try = d.first_try + (select count(*)::int from cut_off where cut_off.delivery_id = d.id),
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
      ), wide as (
        select lane, (
          select ${WIDTH} from webhook_deliveries f left join webhook_endpoints p on p.id = f.endpoint_id
          where f.lane = lanes.lane and f.status = 'pending' limit 1) as width
        from lanes where lane is not null
      ), picked as (
        select due.id from wide as lanes cross join lateral (
          select id from webhook_deliveries d
          where d.lane = lanes.lane and d.status = 'pending' and d.due_at <= now() and d.lease_until is null
            and (d.rung_at is null or d.rung_at < now() - ${BELL_LIFE})
          order by d.due_at limit greatest(0, lanes.width - (select count(*) from webhook_deliveries o
            where o.lane = lanes.lane and o.lease_until is not null)) for update skip locked
        ) due
        order by random() limit ${limit}
      )
      -- By an array: else the planner, which can't know how few there are, may read the whole table to join it.
      update webhook_deliveries d set rung_at = now() where d.id = any(array(select id from picked))
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
}

function toClaimed({ eventId, type, createdAt, data, ...delivery }: ClaimedRow): ClaimedDelivery {
  return { ...delivery, event: { id: eventId, type, createdAt, data } };
}

/** Ends what waits for an endpoint that is being switched off; it can be sent later. What is just being tried goes on. */
export async function giveUpWaiting(trx: DatabaseOrTransaction, endpointId: string): Promise<void> {
  await sql`
    update webhook_deliveries set status = 'failed', last_error = ${SWITCHED_OFF}, finished_at = now()
    where lane = ${endpointId} and status = 'pending' and lease_until is null`.execute(trx);
}
