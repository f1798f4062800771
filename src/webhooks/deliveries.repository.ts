import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Order } from '../http/paging.js';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database } from '../storage/database.js';
import { firstUuidAt } from '../storage/ids.js';
import type { DeliveryStatus } from '../storage/webhook-tables.js';
import type { DeliveryRecord, TryRecord } from './delivery.js';
import { MAX_TRIES } from './schedule.js';

/** Whose deliveries, all of them uuids. */
export type DeliveryOwner =
  { readonly jobId: string } | { readonly batchId: string } | { readonly endpointId: string };

/** Which deliveries are wanted. Unix seconds. */
export interface DeliveryFilters {
  readonly status?: DeliveryStatus;
  readonly event?: string;
  readonly since?: number;
  readonly until?: number;
}

/** A page of deliveries, in the order of what happened. */
export interface DeliveryPage {
  readonly limit: number;
  /** The uuid of the delivery before it. */
  readonly after: string | null;
  readonly order: Order;
}

/**
 * An event's id has the time of the process that made it, its row that of the database. To find a span of time by the ids, which
 * are in an index, the clocks may be so far apart; the rows' own time decides.
 */
const CLOCKS_APART_MS = 3_600_000;

/** What became of a delivery that was to be sent anew. */
export type Resent = 'sent' | 'switched_off' | 'not_found';

/** The SQL of looking at deliveries, and of having them sent anew. */
@Injectable()
export class DeliveriesRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Whether the project has such a job, batch or endpoint. */
  async isOwner(projectId: string, owner: DeliveryOwner): Promise<boolean> {
    const [table, id] =
      'jobId' in owner
        ? [sql.table('jobs'), owner.jobId]
        : 'batchId' in owner
          ? [sql.table('batches'), owner.batchId]
          : [sql.table('webhook_endpoints'), owner.endpointId];
    const { rows } = await sql`select 1 from ${table} where id = ${id} and project_id = ${projectId}`.execute(
      this.db,
    );
    return rows.length > 0;
  }

  /** The owner's deliveries with all their tries. */
  async list(owner: DeliveryOwner, filters: DeliveryFilters, page: DeliveryPage): Promise<DeliveryRecord[]> {
    let query = this.select().orderBy('d.event_id', page.order).orderBy('d.id', page.order).limit(page.limit);
    if ('jobId' in owner) query = query.where('d.job_id', '=', owner.jobId);
    else if ('batchId' in owner) query = query.where('d.batch_id', '=', owner.batchId);
    else query = query.where('d.endpoint_id', '=', owner.endpointId);
    // Written out, so that the planner sees that it is one of the few.
    if (filters.status) query = query.where('d.status', '=', sql.lit(filters.status));
    if (filters.event !== undefined) query = query.where('d.event_type', '=', filters.event);
    if (filters.since !== undefined) {
      query = query
        .where('d.created_at', '>=', new Date(filters.since * 1000))
        .where('d.event_id', '>=', firstUuidAt(filters.since * 1000 - CLOCKS_APART_MS));
    }
    if (filters.until !== undefined) {
      query = query
        .where('d.created_at', '<=', new Date(filters.until * 1000))
        .where('d.event_id', '<', firstUuidAt(filters.until * 1000 + CLOCKS_APART_MS));
    }
    if (page.after !== null) {
      const sign = sql.raw(page.order === 'asc' ? '>' : '<');
      query = query.where(
        sql<boolean>`(d.event_id, d.id) ${sign} (select event_id, id from webhook_deliveries where id = ${page.after})`,
      );
    }
    return this.withTries(await query.execute());
  }

  /** Undefined if the project has no such delivery. */
  async find(projectId: string, deliveryId: string): Promise<DeliveryRecord | undefined> {
    const row = await this.select()
      .where('d.id', '=', deliveryId)
      .where('d.project_id', '=', projectId)
      .executeTakeFirst();
    return row && (await this.withTries([row]))[0];
  }

  /**
   * Makes a delivery due at once, however it ended, with all its tries before it again. One that is just being tried is left
   * as it is. The same event, so the receiver sees the same id.
   */
  async resend(projectId: string, deliveryId: string): Promise<Resent> {
    const { rows } = await sql<{ isOff: boolean }>`
      with asked as (
        select d.id, e.id is not null and (e.disabled_at is not null or e.deleted_at is not null) as is_off
        from webhook_deliveries d left join webhook_endpoints e on e.id = d.endpoint_id
        where d.id = ${deliveryId} and d.project_id = ${projectId}
      ), due as (
        update webhook_deliveries d set ${AGAIN} from asked
        where d.id = asked.id and not asked.is_off and d.lease_until is null
      )
      select is_off as "isOff" from asked`.execute(this.db);
    if (!rows[0]) return 'not_found';
    return rows[0].isOff ? 'switched_off' : 'sent';
  }

  /** As {@link resend}, for all that an endpoint did not get of what happened in a span of time; answers how many they are. */
  async recover(endpointId: string, sinceS: number, untilS: number | null): Promise<number> {
    const { numAffectedRows } = await sql`
      update webhook_deliveries d set ${AGAIN}
      where d.endpoint_id = ${endpointId} and d.status = 'failed' and not d.is_sample and d.created_at >= to_timestamp(${sinceS})
        and d.event_id >= ${firstUuidAt(sinceS * 1000 - CLOCKS_APART_MS)}
        and d.created_at <= coalesce(to_timestamp(${untilS}::float8), now())`.execute(this.db);
    return Number(numAffectedRows ?? 0n);
  }

  /** The bell of a delivery that waits. */
  async bellOf(deliveryId: string): Promise<Bell | undefined> {
    const { rows } = await sql<Bell>`
      update webhook_deliveries set rung_at = now()
      where id = ${deliveryId} and status = 'pending' and lease_until is null
      returning id, dispatch_no as "dispatchNo"`.execute(this.db);
    return rows[0];
  }

  private select() {
    return this.db
      .selectFrom('webhook_deliveries as d')
      .select(['d.id', 'd.event_id as eventId', 'd.event_type as eventType', 'd.job_id as jobId'])
      .select(['d.batch_id as batchId', 'd.endpoint_id as endpointId', 'd.url', 'd.status'])
      .select(['d.try_count as tryCount', 'd.created_at as createdAt', 'd.due_at as dueAt'])
      .select(['d.finished_at as finishedAt', 'd.last_error as lastError']);
  }

  private async withTries(rows: readonly Omit<DeliveryRecord, 'tries'>[]): Promise<DeliveryRecord[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.id);
    const { rows: tries } = await sql<TryRecord & { deliveryId: string }>`
      select delivery_id as "deliveryId", index, started_at as "startedAt", duration_ms as "durationMs",
        http_status as "httpStatus", error, response_text as "responseText"
      from webhook_tries where delivery_id = any(${ids}::uuid[]) order by index`.execute(this.db);
    return rows.map((row) => ({ ...row, tries: tries.filter((one) => one.deliveryId === row.id) }));
  }
}

/** What makes a delivery `d` due at once, with the whole schedule before it, or one try before a sample. */
const AGAIN = sql`status = 'pending',
  first_try = d.try_count - case when d.is_sample then ${MAX_TRIES - 1}::int else 0 end, due_at = now(), finished_at = null, rung_at = null,
  dispatch_no = d.dispatch_no + 1`;
