import { type Kysely, sql } from 'kysely';

/** Receivers that a project registers, their secrets and how they fare, and what of a delivery that touches. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table webhook_endpoints (
    id uuid primary key,
    project_id uuid not null references projects,
    name text not null,
    url text not null,
    event_types text[] not null,
    include_result boolean not null,
    -- Sealed; what of it may be shown again stands beside it.
    secret bytea not null,
    secret_hint text not null,
    -- Told with each change that receivers hear of, so that they can put them in order.
    version integer not null default 1,
    disabled_at timestamptz,
    disabled_reason text check (disabled_reason in ('gone', 'failing', 'request')),
    -- The first failure that no success has followed; null while all is well.
    failing_since timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Its deliveries stay in the record.
    deleted_at timestamptz)`,
  `create index webhook_endpoints_by_project on webhook_endpoints (project_id, id) where deleted_at is null`,

  // Secrets that were rotated and still sign for a while: an endpoint's, or without one the project's default.
  `create table webhook_old_secrets (
    id uuid primary key,
    project_id uuid not null references projects,
    endpoint_id uuid references webhook_endpoints,
    secret bytea not null,
    expires_at timestamptz not null)`,
  `create index webhook_old_secrets_by_owner on webhook_old_secrets (project_id, endpoint_id)`,

  `alter table webhook_events add column batch_id uuid`,
  `alter table webhook_deliveries
    add column batch_id uuid,
    add column endpoint_id uuid references webhook_endpoints,
    -- The event's own, so that one type is found among many.
    add column event_type text,
    -- Made up to try an endpoint: it has one try.
    add column is_sample boolean not null default false,
    -- From which try on the schedule counts: from the one since which it was sent anew, without those that were cut off.
    add column first_try integer not null default 0`,
  `update webhook_deliveries d set event_type = e.type from webhook_events e where e.id = d.event_id`,
  `alter table webhook_deliveries alter column event_type set not null`,
  // An event is told to an endpoint once; the order of the events is that of an endpoint's deliveries.
  `create unique index webhook_deliveries_by_endpoint on webhook_deliveries (endpoint_id, event_id)
    where endpoint_id is not null`,
  `create index webhook_deliveries_by_type on webhook_deliveries (endpoint_id, event_type, event_id)
    where endpoint_id is not null`,
  // The few that have not arrived, among the many that have.
  `create index webhook_deliveries_unsuccessful on webhook_deliveries (endpoint_id, event_id)
    where endpoint_id is not null and status <> 'succeeded'`,
  `create index webhook_deliveries_by_batch on webhook_deliveries (batch_id) where batch_id is not null`,
  // What is being tried: all of it, to find what was cut off, and of one lane, to count it.
  `drop index webhook_deliveries_leased`,
  `create index webhook_deliveries_leased on webhook_deliveries (lane, lease_until) where lease_until is not null`,
  `create index webhook_deliveries_leased_of_project on webhook_deliveries (project_id) where lease_until is not null`,
];
