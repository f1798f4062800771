/**
 * What must hold of a Baton whatever broke, asked of its database, and held against what its upstream and its receiver counted
 * themselves. Each question is one statement, so a hundred thousand jobs are checked as well as ten.
 */
import { Client } from 'pg';
import { toUuid } from '../../src/storage/ids.js';

export interface CheckedRun {
  /** A connection string of Baton's database. */
  readonly databaseUrl: string;
  /** The ids (`job_…`) of all jobs that were answered with 202; one that was answered twice may be there twice. */
  readonly accepted: readonly string[];
  /** The attempts (`att_…`, the header `x-baton-attempt-id`) of all calls that the upstream saw, each as often as it did. */
  readonly calledAttempts: readonly string[];
  /** The `webhook-id` (`evt_…`) of all requests that the receiver answered well. */
  readonly deliveredIds: readonly string[];
  /** How many calls may have been in vain: those that the injected kills and pauses cut off. */
  readonly mostExtraCalls: number;
}

/** What a run came to. */
export interface Figures {
  readonly accepted: number;
  /** Jobs that are there although nobody heard so: their 202 was lost, and their client did not come back. */
  readonly unheard: number;
  readonly completed: number;
  readonly calls: number;
  /** Calls whose answer became nobody's, and how those attempts are written down. */
  readonly extraCalls: number;
  readonly interrupted: number;
  readonly superseded: number;
  readonly events: number;
  /** How often a receiver was told what it had been told before. */
  readonly toldAgain: number;
  readonly costMicros: number;
  readonly batches: number;
}

/** A statement that finds what breaks an invariant: rows of at most a few examples, none if it holds. */
interface Question {
  readonly name: string;
  readonly sql: string;
}

/** The tables `accepted`, `called` and `delivered` hold what was seen from outside. */
const QUESTIONS: readonly Question[] = [
  {
    name: 'I1: each accepted job is there and has ended',
    sql: `select a.id, j.status from accepted a left join jobs j using (id) where j.finished_at is null`,
  },
  {
    name: 'I1: a job that has ended has an end that can be read',
    sql: `select j.id, j.status from jobs j left join job_responses r on r.job_id = j.id
      where (j.status = 'completed') and r.job_id is null and j.same_as is null
        or j.status in ('failed', 'expired') and j.error_code is null`,
  },
  {
    name: 'I2: each job that tells of its end tells of one, the one that it has',
    sql: `select j.id, j.status, array_agg(e.type) as told from jobs j
      left join webhook_events e on e.job_id = j.id and e.type like 'job.%'
      where j.finished_at is not null and j.webhook_url is not null
      group by j.id having array_agg(e.type) <> array['job.' || j.status]`,
  },
  {
    name: 'I2: a completed job has one answer, which is its last attempt, and no other job has any',
    sql: `select j.id, j.status, array_agg(a.outcome order by a.index) as outcomes from jobs j
      left join attempts a on a.job_id = j.id where j.finished_at is not null and j.same_as is null
      group by j.id
      having count(*) filter (where a.outcome = 'succeeded') <> (j.status = 'completed')::int`,
  },
  {
    name: 'I2: nothing of a job that has ended is still open',
    sql: `select a.id, j.status from attempts a join jobs j on j.id = a.job_id
      where j.finished_at is not null and a.outcome is null`,
  },
  {
    name: 'I3: each call that was seen has its attempt, and was made once',
    sql: `select c.id, count(*) from called c left join attempts a using (id) group by c.id
      having count(*) > 1 or count(a.id) = 0`,
  },
  {
    name: 'I3: each attempt that was not seen was cut off or never sent',
    sql: `select a.id, a.outcome, a.class, a.sent from attempts a
      where a.provider <> 'sim' and a.outcome not in ('interrupted', 'skipped', 'cancelled') and a.sent is distinct from false
        and not exists (select from called c where c.id = a.id)`,
  },
  {
    name: 'I5: a job costs what its attempts cost',
    sql: `select j.id, j.cost_micros, sum(a.cost_micros) as of_attempts from jobs j join attempts a on a.job_id = j.id
      where j.finished_at is not null and j.cost_micros is not null
      group by j.id having coalesce(sum(a.cost_micros), 0) <> j.cost_micros`,
  },
  {
    name: 'I5: a batch costs what its lines cost',
    sql: `select batch_id, t.cost, j.cost as of_lines from
      (select batch_id, sum(cost_micros) as cost from batch_tallies group by batch_id) t
      join (select batch_id, sum(coalesce(cost_micros, 0)) as cost from jobs where batch_id is not null group by batch_id) j
      using (batch_id) where t.cost <> j.cost`,
  },
  {
    name: 'I6: each end that had to be told was told',
    sql: `select e.id, e.type, d.status, d.last_error from webhook_events e join webhook_deliveries d on d.event_id = e.id
      where not exists (select from delivered s where s.id = e.id)`,
  },
  {
    name: 'I6: nothing was told that did not happen',
    sql: `select s.id from delivered s left join webhook_events e using (id) where e.id is null`,
  },
  {
    name: 'I7: a batch has each line of its input once',
    sql: `select b.id, b.job_count, b.reject_count, l.lines, l.different from batches b join lateral (
        select count(*) as lines, count(distinct line) as different from (
          select line from jobs where batch_id = b.id union all select line from batch_rejects where batch_id = b.id) each
      ) l on true
      where b.status in ('completed', 'expired', 'cancelled') and (l.lines <> b.job_count + b.reject_count or l.different <> l.lines)`,
  },
  {
    name: 'I7: no line of a batch that has ended is open',
    sql: `select j.id, j.batch_id from jobs j join batches b on b.id = j.batch_id
      where b.status in ('completed', 'expired', 'cancelled') and j.finished_at is null`,
  },
];

/** Examples of a broken invariant that are shown. */
const MOST_SHOWN = 5;

/** Holds a run that has come to rest against I1 to I7, and gives its figures. Throws with all that does not hold. */
export async function checkInvariants(run: CheckedRun): Promise<Figures> {
  const client = new Client({ connectionString: run.databaseUrl });
  await client.connect();
  try {
    await fillTable(client, 'accepted', new Set(run.accepted), 'job');
    await fillTable(client, 'called', run.calledAttempts, 'att');
    await fillTable(client, 'delivered', new Set(run.deliveredIds), 'evt');
    const broken: string[] = [];
    for (const { name, sql } of QUESTIONS) {
      const { rows } = await client.query(`${sql} limit ${MOST_SHOWN}`);
      if (rows.length > 0) broken.push(`${name}; not so: ${JSON.stringify(rows)}`);
    }
    const figures = await readFigures(client, run);
    if (figures.extraCalls > run.mostExtraCalls)
      broken.push(`I4: at most ${run.mostExtraCalls} calls are in vain; they were ${figures.extraCalls}`);
    if (broken.length > 0) throw new Error(`${broken.join('\n')}\n${JSON.stringify(figures)}`);
    return figures;
  } finally {
    await client.end();
  }
}

/** Puts what was seen into a table of this connection. Throws on an id that is none. */
async function fillTable(
  client: Client,
  name: string,
  ids: Iterable<string>,
  prefix: 'job' | 'att' | 'evt',
): Promise<void> {
  const uuids = Array.from(ids, (id) => {
    const uuid = toUuid(prefix, id);
    if (uuid === null) throw new Error(`${name}: ${id} is no id`);
    return uuid;
  });
  await client.query(`create temporary table ${name} (id uuid not null)`);
  await client.query(`insert into ${name} select unnest($1::uuid[])`, [uuids]);
  await client.query(`create index on ${name} (id)`);
  await client.query(`analyze ${name}`);
}

async function readFigures(client: Client, run: CheckedRun): Promise<Figures> {
  const { rows } = await client.query<Figures>(`
    select (select count(*) from accepted)::int as accepted,
      (select count(*) from jobs where batch_id is null and id not in (select id from accepted))::int as unheard,
      (select count(*) from jobs where status = 'completed')::int as completed,
      (select count(*) from called)::int as calls,
      (select count(*) from called join attempts a using (id) where outcome in ('interrupted', 'superseded'))::int
        as "extraCalls",
      (select count(*) from attempts where outcome = 'interrupted')::int as interrupted,
      (select count(*) from attempts where outcome = 'superseded')::int as superseded,
      (select count(*) from webhook_events)::int as events,
      (select coalesce(sum(cost_micros), 0) from attempts)::float as "costMicros",
      (select count(*) from batches)::int as batches`);
  const [figures] = rows;
  if (!figures) throw new Error('The database said nothing.');
  return { ...figures, toldAgain: run.deliveredIds.length - new Set(run.deliveredIds).size };
}
