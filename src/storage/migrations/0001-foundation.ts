import { type Kysely, sql } from 'kysely';

/** The project that everything belongs to until projects can be made. */
const DEFAULT_PROJECT_ID = '01900000-0000-7000-8000-000000000001';

/**
 * Projects, policies, chains, jobs with their requests, responses and attempts, idempotency keys and webhooks.
 * Every table that belongs to a user carries `project_id`.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const USAGE = `
  input_tokens bigint,
  output_tokens bigint,
  total_tokens bigint,
  cached_input_tokens bigint,
  cost_micros bigint`;

const STATEMENTS = [
  // One row: who this installation is, so that two Batons on one Redis never hear each other's bells.
  `create table installation (
    only_row boolean primary key default true check (only_row),
    id uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now())`,
  `insert into installation default values`,

  `create table projects (
    id uuid primary key,
    name text not null,
    webhook_secret bytea,
    created_at timestamptz not null default now())`,
  `insert into projects (id, name) values ('${DEFAULT_PROJECT_ID}', 'default')`,

  `create table policies (
    project_id uuid not null references projects,
    name text not null,
    version integer not null,
    source text not null check (source in ('api', 'config')),
    created_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (project_id, name))`,
  // Immutable, and kept when the policy is deleted: jobs tell which version they ran.
  `create table policy_versions (
    project_id uuid not null references projects,
    name text not null,
    version integer not null,
    body json not null,
    created_at timestamptz not null default now(),
    primary key (project_id, name, version))`,

  // Resolved fallback chains, by content: a job pins its chain, and all jobs of a batch share one row.
  `create table chains (
    id uuid primary key,
    project_id uuid not null references projects,
    digest bytea not null,
    body json not null,
    created_at timestamptz not null default now(),
    unique (project_id, digest))`,

  // The hot row of a job. Its request and response lie beside it, so that a claim or an end does not write them again.
  `create table jobs (
    id uuid primary key,
    project_id uuid not null references projects,
    status text not null default 'queued'
      check (status in ('queued', 'in_progress', 'completed', 'failed', 'cancelled', 'expired')),
    endpoint text not null,
    model text not null,
    policy_name text,
    policy_version integer,
    chain_id uuid not null references chains,
    priority smallint not null,
    metadata jsonb not null,
    webhook_url text,
    batch_id uuid,
    custom_id text,
    retry_of uuid,
    served_by text,
    attempt_count integer not null default 0,
    fell_back boolean not null default false,
    error_code text,
    error_message text,
    response_status smallint,
    response_request_id text,
    ${USAGE},
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    run_at timestamptz,
    due_at timestamptz not null default now(),
    expires_at timestamptz not null,
    -- True while the job waits for a later moment of its own (backoff, Retry-After, run_at): only then due_at is shown.
    waiting boolean not null default false,
    -- Dispatch: which ringing of the bell counts, and when it was last rung.
    dispatch_no integer not null default 1,
    rung_at timestamptz,
    -- Lease and fencing token, by this database's clock.
    lease_token integer not null default 0,
    lease_until timestamptz,
    worker text,
    crash_count smallint not null default 0
  ) with (fillfactor = 85)`,
  `create index jobs_by_project on jobs (project_id, id)`,
  `create index jobs_by_status on jobs (project_id, status, id)`,
  `create index jobs_by_batch on jobs (batch_id, id) where batch_id is not null`,
  `create index jobs_by_metadata on jobs using gin (metadata jsonb_path_ops) where metadata <> '{}'`,
  `create index jobs_queued on jobs (due_at) where status = 'queued'`,
  `create index jobs_expiring on jobs (expires_at) where status = 'queued'`,
  `create index jobs_leased on jobs (lease_until) where status = 'in_progress'`,

  // As text, not jsonb: the order of keys reaches the model, and what came back is given back byte for byte.
  `create table job_requests (
    job_id uuid primary key references jobs on delete cascade,
    project_id uuid not null references projects,
    body text not null)`,
  `create table job_responses (
    job_id uuid primary key references jobs on delete cascade,
    project_id uuid not null references projects,
    body text not null)`,

  // One row for each model considered, written before the call. outcome is null while it runs.
  `create table attempts (
    id uuid primary key,
    job_id uuid not null references jobs on delete cascade,
    project_id uuid not null references projects,
    index integer not null,
    round integer not null,
    step integer not null,
    model text not null,
    provider text not null,
    key_id text,
    outcome text check (outcome in ('succeeded', 'failed', 'skipped', 'interrupted', 'cancelled', 'superseded')),
    class text,
    http_status smallint,
    message text,
    sent boolean,
    retry_after_ms bigint,
    decision text check (decision in ('accept', 'retry', 'next', 'wait', 'stop')),
    decision_reason text,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    ${USAGE},
    upstream_request_id text,
    error_body text,
    worker text not null,
    lease_token integer not null,
    unique (job_id, index)
  ) with (fillfactor = 85)`,

  `create table idempotency_keys (
    project_id uuid not null references projects,
    route text not null,
    key text not null,
    digest bytea not null,
    resource_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (project_id, route, key))`,

  // data is JSON as text, not jsonb: every try of an event sends the same bytes.
  `create table webhook_events (
    id uuid primary key,
    project_id uuid not null references projects,
    type text not null,
    job_id uuid references jobs on delete cascade,
    data text not null,
    created_at timestamptz not null default now())`,
  `create index webhook_events_by_job on webhook_events (job_id)`,
  `create table webhook_deliveries (
    id uuid primary key,
    project_id uuid not null references projects,
    event_id uuid not null references webhook_events on delete cascade,
    job_id uuid references jobs on delete cascade,
    url text not null,
    -- Deliveries of one lane share a few slots of a worker: a receiver that hangs holds up nobody else.
    lane text not null,
    status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
    try_count integer not null default 0,
    last_error text,
    created_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    finished_at timestamptz,
    dispatch_no integer not null default 1,
    rung_at timestamptz,
    lease_token integer not null default 0,
    lease_until timestamptz)`,
  `create index webhook_deliveries_by_job on webhook_deliveries (job_id)`,
  `create index webhook_deliveries_by_event on webhook_deliveries (event_id)`,
  `create index webhook_deliveries_by_lane on webhook_deliveries (lane, due_at) where status = 'pending'`,
  `create index webhook_deliveries_leased on webhook_deliveries (lease_until) where lease_until is not null`,
  // Written before the call and finished after it: a try that has no end was cut off.
  `create table webhook_tries (
    delivery_id uuid not null references webhook_deliveries on delete cascade,
    project_id uuid not null references projects,
    index integer not null,
    started_at timestamptz not null default now(),
    duration_ms integer,
    http_status smallint,
    error text,
    response_text text,
    primary key (delivery_id, index))`,
];
