import { type Kysely, sql } from 'kysely';

/** How long things are kept, how much waits, and what shows that the queue's store lost its messages. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // What the queue's store said last of who it is, by who asked: when it says something else, its messages may be gone.
  `create table queue_epochs (
    room text primary key,
    epoch text not null)`,
  `alter table jobs
    -- The length of the request's body.
    add column request_bytes integer not null default 0,
    -- False: the bodies go once the job has ended and its result is delivered; forgotten_at is when they went.
    add column store boolean not null default true,
    add column forgotten_at timestamptz`,
  // Of a body that went; the body itself is empty then.
  `alter table job_requests add column sha256 bytea`,
  `alter table job_responses add column sha256 bytea`,
  // Each priority of a project has a window of its own.
  `drop index jobs_window`,
  `create index jobs_window on jobs (project_id, batch_id, priority, rung_at)
    where status = 'queued' and rung_at is not null`,
  `create index jobs_to_forget on jobs (finished_at)
    where not store and forgotten_at is null and finished_at is not null`,
  `create index idempotency_keys_by_age on idempotency_keys (created_at)`,
  `create index webhook_events_of_no_job on webhook_events (project_id, created_at) where job_id is null`,
  // Whether it arrived with the whole result in it: settings of the endpoint may have changed since.
  `alter table webhook_deliveries add column carried_result boolean not null default false`,
];
