import { type Kysely, sql } from 'kysely';

/** What jobs and attempts keep of the router's decisions: the order of the chain, what a job waits for, tokens apart. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table jobs
    -- The order in which this job walks its chain, as indexes into the chain's steps; null to walk it as it stands.
    add column step_order smallint[],
    add column order_reason text,
    -- What the job waits for room at: whoever makes room there calls it before its time. Room was made if woken.
    add column parked_on text,
    add column woken boolean not null default false,
    add column cache_write_tokens bigint,
    add column reasoning_tokens bigint`,
  `create index jobs_parked on jobs (parked_on, priority, id) where status = 'queued' and parked_on is not null`,
  `create index jobs_by_policy on jobs (project_id, policy_name, created_at) where policy_name is not null`,
  `alter table attempts
    add column cache_write_tokens bigint,
    add column reasoning_tokens bigint`,
];
