import { type Kysely, sql } from 'kysely';

/**
 * What is written for each job costs less. A foreign key makes each insert look up and lock the row that it names; but who writes an
 * attempt or a response holds its job's row already, a request is written in the statement that writes its job, and chains and projects
 * are never removed. What hangs on jobs goes with them by one trigger, for all that a statement removes at once.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table attempts drop constraint attempts_job_id_fkey`,
  `alter table job_requests drop constraint job_requests_job_id_fkey`,
  `alter table job_responses drop constraint job_responses_job_id_fkey`,
  `alter table jobs drop constraint jobs_project_id_fkey, drop constraint jobs_chain_id_fkey`,
  `create function remove_what_hangs_on_jobs() returns trigger language plpgsql as $$
  declare ids uuid[] := array(select id from removed);
  begin
    delete from attempts where job_id = any(ids);
    delete from job_requests where job_id = any(ids);
    delete from job_responses where job_id = any(ids);
    return null;
  end $$`,
  `create trigger jobs_with_what_hangs_on_them after delete on jobs referencing old table as removed
    for each statement execute function remove_what_hangs_on_jobs()`,
  // An attempt is changed once, when it ends: where its page has room for that, no index is touched.
  `alter table attempts set (fillfactor = 60)`,
];
