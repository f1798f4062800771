import { Inject, Injectable } from '@nestjs/common';
import { type Selectable, sql } from 'kysely';
import type { Order } from '../http/paging.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { WebhookEndpointsTable } from '../storage/webhook-tables.js';
import { giveUpWaiting } from './delivery-steps.repository.js';

/** An endpoint as it is kept. */
export type EndpointRow = Selectable<WebhookEndpointsTable>;

/** An endpoint to be made. */
export interface NewEndpoint {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly url: string;
  readonly eventTypes: readonly string[];
  readonly includeResult: boolean;
  readonly secret: Buffer;
  readonly secretHint: string;
}

/** What of an endpoint its project may change; what is left out stays. */
export interface EndpointChanges {
  readonly name?: string;
  readonly url?: string;
  readonly eventTypes?: readonly string[];
  readonly includeResult?: boolean;
}

/** How an endpoint's last deliveries went. */
export interface DeliveryCounts {
  readonly endpointId: string;
  readonly pending: number;
  readonly succeeded: number;
  readonly failed: number;
}

/** So many of an endpoint's last deliveries are looked at to say how it fares. */
export const LAST_DELIVERIES = 1_000;

/** The SQL of endpoints, as their projects see and change them. */
@Injectable()
export class EndpointsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Makes the endpoint unless the project has `most` already; undefined then. */
  async insert(endpoint: NewEndpoint, most: number): Promise<EndpointRow | undefined> {
    return this.db.transaction().execute(async (trx) => {
      // Those who make one at the same time wait for each other, so that all are counted.
      await sql`select from projects where id = ${endpoint.projectId} for no key update`.execute(trx);
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from webhook_endpoints
        where project_id = ${endpoint.projectId} and deleted_at is null`.execute(trx);
      if ((rows[0]?.count ?? 0) >= most) return undefined;
      return trx
        .insertInto('webhook_endpoints')
        .values({
          id: endpoint.id,
          project_id: endpoint.projectId,
          name: endpoint.name,
          url: endpoint.url,
          event_types: [...endpoint.eventTypes],
          include_result: endpoint.includeResult,
          secret: endpoint.secret,
          secret_hint: endpoint.secretHint,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
    });
  }

  /** Undefined if the project has no such endpoint, or has deleted it. */
  async find(projectId: string, endpointId: string): Promise<EndpointRow | undefined> {
    return this.db
      .selectFrom('webhook_endpoints')
      .selectAll()
      .where('id', '=', endpointId)
      .where('project_id', '=', projectId)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
  }

  async list(
    projectId: string,
    page: { readonly limit: number; readonly after: string | null; readonly order: Order },
  ): Promise<EndpointRow[]> {
    let query = this.db
      .selectFrom('webhook_endpoints')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('deleted_at', 'is', null)
      .orderBy('id', page.order)
      .limit(page.limit);
    if (page.after !== null) query = query.where('id', page.order === 'asc' ? '>' : '<', page.after);
    return query.execute();
  }

  /** Undefined if the project has no such endpoint. A change to what it is already leaves `updated_at` as it was. */
  async update(
    projectId: string,
    endpointId: string,
    changes: EndpointChanges,
  ): Promise<EndpointRow | undefined> {
    const { name = null, url = null, eventTypes = null, includeResult = null } = changes;
    const { rows } = await sql<EndpointRow>`
      update webhook_endpoints e set name = n.name, url = n.url, event_types = n.event_types,
        include_result = n.include_result,
        failing_since = case when e.url = n.url then e.failing_since end,
        updated_at = case when (e.name, e.url, e.event_types, e.include_result) is distinct from
          (n.name, n.url, n.event_types, n.include_result) then now() else e.updated_at end
      from (select id, coalesce(${name}::text, name) as name, coalesce(${url}::text, url) as url,
        coalesce(${eventTypes}::text[], event_types) as event_types,
        coalesce(${includeResult}::boolean, include_result) as include_result
        from webhook_endpoints where id = ${endpointId} for no key update) n
      where e.id = n.id and e.project_id = ${projectId} and e.deleted_at is null
      returning e.*`.execute(this.db);
    return rows[0];
  }

  /** Puts another secret in the place of the endpoint's; answers both. Undefined if the project has no such endpoint. */
  async replaceSecret(
    trx: DatabaseOrTransaction,
    { projectId, endpointId }: { readonly projectId: string; readonly endpointId: string },
    sealed: Buffer,
    hint: string,
  ): Promise<{ row: EndpointRow; before: Buffer } | undefined> {
    const { rows } = await sql<EndpointRow & { before: Buffer }>`
      update webhook_endpoints e set secret = ${sealed}, secret_hint = ${hint}, updated_at = now()
      from (select id, secret as before from webhook_endpoints
        where id = ${endpointId} and project_id = ${projectId} and deleted_at is null for no key update) old
      where e.id = old.id returning e.*, old.before`.execute(trx);
    if (!rows[0]) return undefined;
    const { before, ...row } = rows[0];
    return { row, before };
  }

  /** False if the project has no such endpoint. What waits for it is given up; its deliveries stay in the record. */
  async delete(projectId: string, endpointId: string): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql`
        update webhook_endpoints set deleted_at = now()
        where id = ${endpointId} and project_id = ${projectId} and deleted_at is null returning id`.execute(
        trx,
      );
      if (rows.length > 0) await giveUpWaiting(trx, endpointId);
      return rows.length > 0;
    });
  }

  /** Lets it have deliveries again; undefined if the project has no such endpoint. */
  async enable(projectId: string, endpointId: string): Promise<EndpointRow | undefined> {
    const { rows } = await sql<EndpointRow>`
      update webhook_endpoints set disabled_at = null, disabled_reason = null, failing_since = null,
        updated_at = case when disabled_at is null then updated_at else now() end,
        version = version + case when disabled_at is null then 0 else 1 end
      where id = ${endpointId} and project_id = ${projectId} and deleted_at is null
      returning *`.execute(this.db);
    return rows[0];
  }

  /** How the last deliveries of each of these went. */
  async counts(endpointIds: readonly string[]): Promise<DeliveryCounts[]> {
    if (endpointIds.length === 0) return [];
    const { rows } = await sql<DeliveryCounts>`
      select e.id as "endpointId", count(*) filter (where d.status = 'pending')::int as pending,
        count(*) filter (where d.status = 'succeeded')::int as succeeded,
        count(*) filter (where d.status = 'failed')::int as failed
      from unnest(${[...endpointIds]}::uuid[]) as e (id) cross join lateral (
        select status from webhook_deliveries where endpoint_id = e.id order by event_id desc limit ${LAST_DELIVERIES}) d
      group by e.id`.execute(this.db);
    return rows;
  }
}
