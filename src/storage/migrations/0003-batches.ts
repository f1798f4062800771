import { type Kysely, sql } from 'kysely';

/** Files, batches with the lines that were turned away, and how the lines that run are dispatched and counted. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const COUNT = 'integer not null default 0';
const SUM = 'bigint not null default 0';

const STATEMENTS = [
  // What users see of a file. Its bytes are a blob of the same id.
  `create table files (
    id uuid primary key,
    project_id uuid not null references projects,
    purpose text not null,
    filename text not null,
    bytes bigint not null default 0,
    -- uploading: being written by a request; draft: the output of a batch that runs; deleted: its bytes are still to go.
    status text not null check (status in ('uploading', 'draft', 'ready', 'deleted')),
    kept_in text not null check (kept_in in ('database', 's3')),
    created_at timestamptz not null default now(),
    expires_at timestamptz)`,
  `create index files_by_project on files (project_id, id) where status = 'ready'`,
  `create index files_expiring on files (expires_at) where status = 'ready' and expires_at is not null`,
  `create index files_leaving on files (created_at) where status in ('uploading', 'deleted')`,
  // Pieces of blobs, each found by its first byte's place. They come as they are: compressing them costs more than it saves.
  `create table blob_chunks (
    blob_id uuid not null,
    start bigint not null,
    bytes bytea not null,
    primary key (blob_id, start))`,
  `alter table blob_chunks alter column bytes set storage external`,

  `create table batches (
    id uuid primary key,
    project_id uuid not null references projects,
    status text not null default 'validating' check (status in ('validating', 'failed', 'in_progress', 'finalizing',
      'completed', 'expired', 'cancelling', 'cancelled')),
    endpoint text not null,
    completion_window text not null,
    -- For the lines that name no model.
    model text,
    webhook_url text,
    priority smallint not null,
    metadata jsonb not null,
    input_file_id uuid not null,
    output_file_id uuid,
    error_file_id uuid,
    output_expires_in integer not null,
    max_cost_micros bigint,
    max_error_rate double precision,
    accept_invalid_lines boolean not null,
    dedupe boolean not null,
    retry_of uuid,
    -- Lines of the input, those among them that are jobs, and those that were turned away.
    line_count ${COUNT},
    job_count ${COUNT},
    reject_count ${COUNT},
    -- Why it was stopped or failed, if not for its lines.
    stop_code text,
    stop_message text,
    -- How far the input has been read.
    read_bytes ${SUM},
    -- How far the output is written: lines in the order of their ends, up to and with this one.
    written_count ${COUNT},
    written_rejects ${COUNT},
    written_until timestamptz,
    written_job uuid,
    output_bytes ${SUM},
    error_bytes ${SUM},
    created_at timestamptz not null default now(),
    in_progress_at timestamptz,
    expires_at timestamptz not null,
    finalizing_at timestamptz,
    completed_at timestamptz,
    failed_at timestamptz,
    expired_at timestamptz,
    cancelling_at timestamptz,
    cancelled_at timestamptz,
    paused_at timestamptz,
    -- Dispatch of its next step, and the lease of who takes it; news counts what happened meanwhile.
    due_at timestamptz not null default now(),
    dispatch_no ${COUNT},
    news ${COUNT},
    lease_token ${COUNT},
    lease_until timestamptz)`,
  `create index batches_by_project on batches (project_id, id)`,
  `create index batches_active on batches (due_at) where status in ('validating', 'in_progress', 'finalizing', 'cancelling')`,
  // Lines that were turned away, each with what is wrong with it.
  `create table batch_rejects (
    batch_id uuid not null references batches on delete cascade,
    line integer not null,
    -- Null where it has none, or another line had it before.
    custom_id text,
    code text not null,
    message text not null,
    param text,
    primary key (batch_id, line))`,
  `create unique index batch_rejects_by_custom_id on batch_rejects (batch_id, custom_id) where custom_id is not null`,

  // How the jobs of a batch are let out: only those of an open one are rung.
  `create table batch_runs (
    batch_id uuid primary key,
    project_id uuid not null references projects,
    priority smallint not null,
    is_open boolean not null)`,
  `create index batch_runs_open on batch_runs (batch_id) where is_open`,
  // What has become of a batch's jobs, written in the transaction that ends each. In several rows, so that jobs that end
  // at the same moment do not wait for each other; the sum of all is the truth.
  `create table batch_tallies (
    batch_id uuid not null,
    shard smallint not null,
    completed ${COUNT},
    failed ${COUNT},
    cancelled ${COUNT},
    expired ${COUNT},
    input_tokens ${SUM},
    output_tokens ${SUM},
    total_tokens ${SUM},
    cached_input_tokens ${SUM},
    reasoning_tokens ${SUM},
    cost_micros ${SUM},
    -- Jobs that were paid for and whose cost nobody knows.
    unpriced ${COUNT},
    primary key (batch_id, shard)
  ) with (fillfactor = 50)`,

  `alter table jobs
    -- The number of its line in the batch's input, from 1.
    add column line integer,
    -- The job whose answer it shares: an equal line of the same batch that came first.
    add column same_as uuid`,
  // A job's own row names the project and is held to it: to look it up once more for each row beside it took a quarter of the time
  // in which a line becomes a job.
  `alter table job_requests drop constraint job_requests_project_id_fkey`,
  `alter table job_responses drop constraint job_responses_project_id_fkey`,
  `alter table attempts drop constraint attempts_project_id_fkey`,
  `create unique index jobs_by_custom_id on jobs (batch_id, custom_id) where batch_id is not null`,
  `create index jobs_ended_of_batch on jobs (batch_id, finished_at, id) where batch_id is not null and finished_at is not null`,
  `create index jobs_sharing on jobs (same_as) where same_as is not null`,

  // What waits to be rung, single jobs by project and the lines of each batch; and what is rung and not yet taken.
  `drop index jobs_queued`,
  `create index jobs_backlog on jobs (project_id, priority, due_at)
    where status = 'queued' and rung_at is null and batch_id is null`,
  `create index jobs_batch_backlog on jobs (batch_id, id)
    where status = 'queued' and rung_at is null and batch_id is not null and same_as is null and not waiting`,
  `create index jobs_window on jobs (project_id, batch_id, rung_at) where status = 'queued' and rung_at is not null`,
  `create index jobs_waiting_of_batch on jobs (batch_id, due_at)
    where status = 'queued' and waiting and batch_id is not null`,
];
