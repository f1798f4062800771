/** What must hold of the tables when all is over: each rule is the SQL of what breaks it. `accepted` holds what clients were told. */

export interface Rule {
  readonly invariant: 'I1' | 'I2' | 'I5';
  /** What is wrong with the rows that it gives. */
  readonly what: string;
  /** Gives one column, `id`: of a job, or of a batch. */
  readonly sql: string;
}

/** What the attempts of each job come to. */
const LEDGERS = `(select job_id, count(*) as total, max(index) as last, count(*) filter (where outcome is null) as open,
  count(*) filter (where outcome = 'succeeded') as succeeded, sum(cost_micros) as cost, sum(total_tokens) as tokens
  from attempts group by job_id)`;

export const RULES: readonly Rule[] = [
  {
    invariant: 'I1',
    what: 'jobs were accepted and are not there',
    sql: 'select id from accepted where not exists (select from jobs where jobs.id = accepted.id)',
  },
  { invariant: 'I1', what: 'jobs have not ended', sql: 'select id from jobs where finished_at is null' },
  {
    invariant: 'I1',
    what: 'batches have not ended as completed',
    sql: `select id from batches where status <> 'completed'`,
  },
  {
    invariant: 'I1',
    what: 'jobs ended in a way that nothing here explains',
    sql: `select id from jobs where status not in ('completed', 'queued', 'in_progress')
      and not (status = 'failed' and error_code in ('worker_crash_loop', 'overloaded', 'connection_error', 'server_error'))`,
  },
  {
    invariant: 'I2',
    what: 'submissions made more than one job',
    sql: `select min(id::text)::uuid as id from jobs where batch_id is null group by metadata ->> 'number' having count(*) > 1`,
  },
  {
    invariant: 'I2',
    what: 'lines of batches made more or fewer jobs than one',
    sql: `select b.id from batches b where b.line_count <> (select count(*) from jobs where batch_id = b.id)
      or b.line_count <> (select count(distinct line) from jobs where batch_id = b.id)`,
  },
  {
    invariant: 'I2',
    what: 'jobs say both that they have ended and that they have not',
    sql: `select id from jobs where (status in ('queued', 'in_progress')) <> (finished_at is null)
      or (finished_at is not null and (lease_until is not null or worker is not null))`,
  },
  {
    invariant: 'I2',
    what: 'completed jobs have not exactly one attempt that succeeded, or others have one',
    sql: `select id from jobs left join ${LEDGERS} l on l.job_id = jobs.id
      where finished_at is not null and coalesce(succeeded, 0) <> case when status = 'completed' then 1 else 0 end`,
  },
  {
    invariant: 'I2',
    what: 'ledgers have an open attempt, a gap, or another length than their job says',
    sql: `select id from jobs join ${LEDGERS} l on l.job_id = jobs.id
      where finished_at is not null and (open > 0 or total <> last + 1 or total <> attempt_count)`,
  },
  {
    invariant: 'I2',
    what: 'completed jobs have no answer, or others have one',
    sql: `select id from jobs where (status = 'completed') <> exists (select from job_responses r where r.job_id = jobs.id)`,
  },
  {
    invariant: 'I2',
    what: 'jobs have not one event with a webhook, or one without',
    sql: `select jobs.id from jobs
      left join (select job_id, count(*) as told from webhook_events group by job_id) e on e.job_id = jobs.id
      where finished_at is not null
        and coalesce(told, 0) <> case when webhook_url is not null and batch_id is null then 1 else 0 end`,
  },
  {
    invariant: 'I5',
    what: 'jobs have another cost or other tokens than their attempts together',
    sql: `select id from jobs join ${LEDGERS} l on l.job_id = jobs.id
      where finished_at is not null
        and ((cost_micros is not null and cost_micros <> l.cost) or total_tokens is distinct from l.tokens)`,
  },
  {
    invariant: 'I5',
    what: 'jobs that were answered have no cost',
    sql: `select id from jobs where status = 'completed' and cost_micros is null`,
  },
  {
    invariant: 'I5',
    what: 'batches have another tally than their jobs together',
    sql: `select b.id from batches b
      join (select batch_id, sum(cost_micros) as cost, sum(completed) as completed, sum(failed) as failed,
        sum(total_tokens) as tokens from batch_tallies group by batch_id) t on t.batch_id = b.id
      join (select batch_id, coalesce(sum(cost_micros), 0) as cost, count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'failed') as failed, coalesce(sum(total_tokens), 0) as tokens
        from jobs where batch_id is not null group by batch_id) j on j.batch_id = b.id
      where (t.cost, t.completed, t.failed, t.tokens) is distinct from (j.cost, j.completed, j.failed, j.tokens)`,
  },
];
