/**
 * What keeping the queue filled costs when very much waits: each step of the dispatcher, the reaper and the claim, explained and
 * timed by PostgreSQL itself over a backlog of 100,000 jobs, or of a million in the long form.
 */
import { Kysely, PostgresDialect } from 'kysely';
import { Client, Pool } from 'pg';
import { BatchLinesRepository } from '../../src/jobs/batch-lines.repository.js';
import { JobDispatchRepository } from '../../src/jobs/job-dispatch.repository.js';
import type { Note } from '../../src/jobs/attempt-notes.repository.js';
import type { FinishedAttempt, NewAttempt } from '../../src/jobs/attempts.repository.js';
import type { JobEnd } from '../../src/jobs/job-ends.repository.js';
import { JobRunsRepository } from '../../src/jobs/job-runs.repository.js';
import { LineDispatchRepository } from '../../src/jobs/line-dispatch.repository.js';
import { JobSweepsRepository } from '../../src/jobs/job-sweeps.repository.js';
import { JobsRepository } from '../../src/jobs/jobs.repository.js';
import type { Schema } from '../../src/storage/schema.js';
import { migrate, openDatabase } from '../../src/storage/database.js';
import { newUuid } from '../../src/storage/ids.js';
import { scaled } from '../support/fault-scale.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

jest.setTimeout(900_000);

const QUEUED = scaled(100_000, 1_000_000);
const PROJECTS = 40;
const BATCHES = 10;
/** Of the database's own time, for one step. */
const MOST_MS = 10;
const RUNS = 30;
/** As many as are written together at most, and what that may take. */
const GROUP = 100;
const MOST_MS_OF_GROUP = 40;

interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

let database: TestDatabase;
let client: Client;
let db: Kysely<Schema>;
let seen: Statement[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  const first = openDatabase(database.url, () => undefined);
  await migrate(first);
  await first.destroy();
  client = new Client({ connectionString: database.url });
  await client.connect();
  await fillTables();
  // As Baton's own connections are set.
  await client.query('set enable_seqscan = off');
  db = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: database.url, max: 2 }) }),
    log: ({ query }) => void seen.push({ sql: query.sql, parameters: query.parameters }),
  });
});
afterAll(async () => {
  await db?.destroy();
  await client?.end();
  await database?.drop();
});

/** Seven in ten are single jobs of many projects and all priorities, the others lines of open batches; some hang, some run. */
async function fillTables(): Promise<void> {
  const lines = Math.floor((QUEUED * 0.3) / BATCHES);
  await client.query(`
    insert into projects (id, name) select gen_random_uuid(), 'p' || n from generate_series(1, ${PROJECTS}) n;
    create temp table numbered as select id, row_number() over () - 1 as n from projects where name <> 'default';
    insert into chains (id, project_id, digest, body) select gen_random_uuid(), id, decode(md5(id::text), 'hex'), '{}' from projects;
    create temp table chain_of as select n, numbered.id as project_id, c.id as chain_id
      from numbered join chains c on c.project_id = numbered.id;`);
  const columns = `id, project_id, endpoint, model, chain_id, priority, metadata, expires_at, batch_id, custom_id, line, created_at`;
  await client.query(`
    insert into jobs (${columns})
    select gen_random_uuid(), project_id, '/v1/chat/completions', 'sim/echo', chain_id, 1 + i % 3, '{}', now() + interval '1 day',
      null, null, null, now() from generate_series(1, ${Math.floor(QUEUED * 0.7)}) i join chain_of on n = i % ${PROJECTS}`);
  await client.query(`
    create temp table made as select gen_random_uuid() as batch_id, b, project_id, chain_id
      from generate_series(1, ${BATCHES}) b join chain_of on n = b;
    insert into batch_runs (batch_id, project_id, priority, is_open) select batch_id, project_id, 1 + b % 3, true from made;
    insert into jobs (${columns})
    select gen_random_uuid(), project_id, '/v1/chat/completions', 'sim/echo', chain_id, 1 + b % 3, '{}', now() + interval '1 day',
      batch_id, i::text, i, now() from made, generate_series(1, ${lines}) i;
    insert into job_requests (job_id, project_id, body) select id, project_id, '{}' from jobs order by id limit 1000;`);
  // Some were rung and not heard, the workers of some are dead, the time of some is over.
  await client.query(`
    update jobs set rung_at = now() - interval '1 hour' where id in (select id from jobs where batch_id is null order by id desc limit 300);
    update jobs set status = 'in_progress', lease_until = now() - interval '1 s', lease_token = 1 where id in (
      select id from jobs where batch_id is null and rung_at is null order by id desc limit 300);
    update jobs set status = 'in_progress', lease_until = now() + interval '1 h', lease_token = 1 where id in (
      select id from jobs where batch_id is not null order by id desc limit ${GROUP});
    update jobs set expires_at = now() - interval '1 s' where id in (
      select id from jobs where batch_id is null and rung_at is null and status = 'queued' order by id desc limit 300);`);
  await client.query('vacuum analyze');
}

class TakenBack extends Error {}

/** A deed that is done and taken back, so that its statement finds the same when it is explained. */
function takenBack(deed: (trx: Kysely<Schema>) => Promise<unknown>): () => Promise<unknown> {
  return () =>
    db
      .transaction()
      .execute(async (trx) => {
        await deed(trx);
        throw new TakenBack();
      })
      .catch((error: unknown) => {
        if (!(error instanceof TakenBack)) throw error;
      });
}

/** Has the steps' statements explained: the least time of some runs, each rolled back, and the plan's lines. */
async function explain({ sql, parameters }: Statement): Promise<{ ms: number; plan: string }> {
  let ms = Infinity;
  let plan = '';
  for (let run = 0; run < RUNS && ms >= MOST_MS / 2; run += 1) {
    await client.query('begin');
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, buffers, timing off) ${sql}`,
      [...parameters],
    );
    await client.query('rollback');
    plan = rows.map((row) => row['QUERY PLAN'].replace(/'\{[^}]*\}'/g, '{…}')).join('\n');
    ms = Math.min(ms, Number(/Execution Time: ([\d.]+) ms/.exec(plan)?.[1]));
  }
  return { ms, plan };
}

/** The statements that a deed sends. */
async function statementsOf(deed: () => Promise<unknown>): Promise<Statement[]> {
  seen = [];
  await deed();
  return seen.filter(({ sql }) => /^\s*(with|update|insert|select)/i.test(sql));
}

it('no step looks at the backlog: each is done in less than 10 ms of database time', async () => {
  const dispatch = new JobDispatchRepository(db);
  const lines = new LineDispatchRepository(db);
  const sweeps = new JobSweepsRepository(db);
  const runs = new JobRunsRepository(db);
  const jobs = new JobsRepository(db);
  const { rows: some } = await client.query<{
    id: string;
    project_id: string;
    chain_id: string;
    batch_id: string;
  }>(
    `select j.id, j.project_id, j.chain_id, (select batch_id from batch_runs limit 1) as batch_id
     from jobs j join job_requests on job_id = j.id where j.batch_id is null and j.priority = 2 order by j.id limit 1`,
  );
  const [one] = some;
  if (!one) throw new Error('There is no job');
  const nobody = () => Promise.resolve([]);
  const newJob = {
    id: newUuid(),
    projectId: one.project_id,
    endpoint: '/v1/chat/completions',
    model: 'sim/echo',
    policy: null,
    chainId: one.chain_id,
    priority: 2,
    metadata: {},
    webhookUrl: null,
    store: true,
    request: '{}',
    requestBytes: 2,
    runAt: null,
    expiresInSeconds: 60,
  };
  const deeds: Record<string, () => Promise<unknown>> = {
    'fill the window with jobs': () => dispatch.fill(),
    'fill the window with lines': () => lines.fill(),
    'fill it again with jobs': () => dispatch.fill(),
    'fill it again with lines': () => lines.fill(),
    'ring what was not heard': () => dispatch.ringAgain(100),
    'wake who waits for room': () => dispatch.wake('sim/echo', 10),
    'take back what dead workers held': () => sweeps.reap(100, nobody),
    'end what is past its deadline': () => sweeps.expire(100, nobody),
    'claim a job': () => runs.claim([one.id], 'a worker', 'together'),
    'accept a job': () => jobs.accept([newJob]),
    'close a batch': () => new BatchLinesRepository(db).close(db, one.batch_id),
  };
  const report: string[] = [];
  for (const [name, deed] of Object.entries(deeds)) {
    for (const statement of await statementsOf(deed)) {
      // What was just done must not stand in the way of its being explained.
      if (name === 'accept a job') await client.query('delete from jobs where id = $1', [newJob.id]);
      const { ms, plan } = await explain(statement);
      report.push(`${name}: ${ms.toFixed(2)} ms`);
      if (ms >= MOST_MS || /Seq Scan on jobs/.test(plan)) throw new Error(`${name} takes ${ms} ms:\n${plan}`);
    }
  }
  console.info(`${QUEUED} jobs wait:\n  ${report.join('\n  ')}`);
  expect(report.length).toBeGreaterThanOrEqual(Object.keys(deeds).length);
});

it('what is written of a hundred runs together is found by their ids, each of them once', async () => {
  const ids = async (condition: string): Promise<string[]> => {
    const { rows } = await client.query<{ id: string }>(
      `select id from jobs where batch_id is not null and ${condition} order by id desc limit ${GROUP}`,
    );
    return rows.map(({ id }) => id);
  };
  const waiting = await ids(`status = 'queued'`);
  const running = await ids(`status = 'in_progress' and lease_token = 1`);
  const attempts = running.map((jobId) => newAttempt(jobId));
  const written: Record<string, (runs: JobRunsRepository) => Promise<unknown>> = {
    'claim lines': (runs) => runs.claim(waiting, 'a worker', 'together'),
    'note attempts that begin': (runs) => runs.note(attempts, 'together'),
    'end lines': (runs) => runs.endLines(attempts.map(endOf)),
  };
  const report: string[] = [];
  for (const [name, write] of Object.entries(written)) {
    const [statement] = await statementsOf(takenBack((trx) => write(new JobRunsRepository(trx))));
    if (!statement) throw new Error(`${name} sends nothing`);
    const { ms, plan } = await explain(statement);
    report.push(`${name}: ${ms.toFixed(2)} ms`);
    const isSlow = ms >= MOST_MS_OF_GROUP || /Seq Scan on (jobs|attempts)|Rows Removed by Join/.test(plan);
    if (isSlow || !plan.includes(`rows=${GROUP}`)) throw new Error(`${name} takes ${ms} ms:\n${plan}`);
  }
  console.info(`${GROUP} together, ${QUEUED} wait:\n  ${report.join('\n  ')}`);
  expect(report).toHaveLength(3);
});

function newAttempt(jobId: string): Note & { readonly next: NewAttempt } {
  const attempt = { id: newUuid(), index: 0, round: 0, step: 0, model: 'sim/echo', provider: 'sim' };
  return { lease: { jobId, token: 1 }, finished: null, next: { ...attempt, keyId: null, worker: 'w' } };
}

function endOf({ lease, next }: ReturnType<typeof newAttempt>): JobEnd {
  const finished: FinishedAttempt = {
    id: next.id,
    step: 0,
    skipped: null,
    outcome: 'succeeded',
    class: null,
    httpStatus: 200,
    message: null,
    sent: true,
    retryAfterMs: null,
    keyId: null,
    usage: null,
    costMicros: null,
    upstreamRequestId: null,
    errorBody: null,
    decision: 'accept',
    decisionReason: 'an answer',
    endedAgoMs: 1,
  };
  const response = { status: 200, requestId: 'req', body: '{}' };
  const ending = { status: 'completed' as const, servedBy: 'sim/echo', errorCode: null, errorMessage: null };
  return { lease, finished, ending: { ...ending, response } };
}
