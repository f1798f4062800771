/**
 * What keeping the queue filled costs when very much waits: each step of the dispatcher, the reaper and the claim, explained and
 * timed by PostgreSQL itself over a backlog of 100,000 jobs, or of a million in the long form; and timed by the plans of a connection
 * that has made them while nothing waited.
 */
import { Kysely, PostgresDialect } from 'kysely';
import { Client, escapeLiteral, Pool } from 'pg';
import { BatchLinesRepository } from '../../src/jobs/batch-lines.repository.js';
import { JobDispatchRepository } from '../../src/jobs/job-dispatch.repository.js';
import { JobRunsRepository } from '../../src/jobs/job-runs.repository.js';
import { LineDispatchRepository } from '../../src/jobs/line-dispatch.repository.js';
import { JobSweepsRepository } from '../../src/jobs/job-sweeps.repository.js';
import { JobsRepository } from '../../src/jobs/jobs.repository.js';
import type { Schema } from '../../src/storage/schema.js';
import { PreparedClient } from '../../src/storage/clients.js';
import { migrate, openDatabase } from '../../src/storage/database.js';
import { newUuid } from '../../src/storage/ids.js';
import { fillWithBacklog } from './backlog.js';
import { endOf, newAttempt } from './runs-of-backlog.js';
import { scaled } from '../support/fault-scale.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

jest.setTimeout(900_000);

const QUEUED = scaled(100_000, 1_000_000);
/** Of the database's own time, for one step. */
const MOST_MS = 10;
/** The same as the client sees it, with the way there and back and, where it is made each time, the plan. */
const MOST_MS_TO_CLIENT = 30;
const RUNS = 30;
/** So often that the server keeps its plan. */
const SENT_OFTEN = 8;
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
/** A connection that has planned each statement once and for all while there was nothing. */
let early: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  const first = openDatabase(database.url, () => undefined);
  await migrate(first);
  await first.destroy();
  client = new Client({ connectionString: database.url });
  early = new PreparedClient({ connectionString: database.url }) as Client;
  for (const each of [client, early]) {
    await each.connect();
    // As Baton's own connections are set.
    await each.query('set enable_seqscan = off');
  }
  db = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: database.url, max: 2 }) }),
    log: ({ query }) => void seen.push({ sql: query.sql, parameters: query.parameters }),
  });
  await client.query('alter table jobs set (autovacuum_enabled = off)');
  await early.query('set plan_cache_mode = force_generic_plan');
  for (const { statement } of await stepsOn({
    id: newUuid(),
    project_id: newUuid(),
    chain_id: newUuid(),
    batch_id: newUuid(),
  }))
    await timeOf(statement, SENT_OFTEN);
  await fillWithBacklog(client, { queued: QUEUED, running: GROUP });
});
afterAll(async () => {
  await db?.destroy();
  await client?.end();
  await early?.end();
  await database?.drop();
});

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
      `explain (analyze, buffers off, timing off) ${sql}`,
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

/** A job that waits, and a batch. */
interface Some {
  readonly id: string;
  readonly project_id: string;
  readonly chain_id: string;
  readonly batch_id: string;
}

/** The statements of each step; what would change `some` is taken back. */
async function stepsOn(some: Some): Promise<{ name: string; statement: Statement }[]> {
  const nobody = () => Promise.resolve([]);
  const newJob = {
    id: newUuid(),
    projectId: some.project_id,
    endpoint: '/v1/chat/completions',
    model: 'sim/echo',
    policy: null,
    chainId: some.chain_id,
    priority: 2,
    metadata: {},
    webhookUrl: null,
    store: true,
    request: '{}',
    requestBytes: 2,
    runAt: null,
    expiresInSeconds: 60,
  };
  const [dispatch, lines, sweeps] = [
    new JobDispatchRepository(db),
    new LineDispatchRepository(db),
    new JobSweepsRepository(db),
  ];
  const deeds: Record<string, () => Promise<unknown>> = {
    'fill the window with jobs': () => dispatch.fill(),
    'fill the window with lines': () => lines.fill(),
    'ring what was not heard': () => dispatch.ringAgain(),
    'ring lines that were not heard': () => lines.ringAgain(),
    'wake who waits for room': () => dispatch.wake('sim/echo', 10),
    'end what is past its deadline': () => sweeps.expire(100, nobody),
    'take back what dead workers held': () => sweeps.reap(100, nobody),
    'claim a job': takenBack((trx) => new JobRunsRepository(trx).claim([some.id], 'a worker', 'together')),
    'accept a job': takenBack((trx) => new JobsRepository(trx).accept([newJob])),
    'accept a job of who has none waiting': takenBack((trx) =>
      new JobsRepository(trx).accept([{ ...newJob, projectId: newUuid() }]),
    ),
    'close a batch': takenBack((trx) => new BatchLinesRepository(trx).close(trx, some.batch_id)),
  };
  const steps: { name: string; statement: Statement }[] = [];
  for (const [name, deed] of Object.entries(deeds))
    for (const statement of await statementsOf(deed)) steps.push({ name, statement });
  return steps;
}

async function someOf(): Promise<Some> {
  const { rows } = await client.query<Some>(
    `select j.id, j.project_id, j.chain_id, (select batch_id from batch_runs limit 1) as batch_id
     from jobs j join job_requests on job_id = j.id where j.batch_id is null and j.priority = 2 order by j.id limit 1`,
  );
  if (!rows[0]) throw new Error('There is no job');
  return rows[0];
}

/** How long the statement takes as Baton's connections send it, the least of `runs`; each is taken back. */
async function timeOf({ sql, parameters }: Statement, runs: number): Promise<number> {
  let ms = Infinity;
  for (let run = 0; run < runs; run += 1) {
    await early.query('begin');
    const startMs = performance.now();
    await early.query(sql, [...parameters]);
    ms = Math.min(ms, performance.now() - startMs);
    await early.query('rollback');
  }
  return ms;
}

it('no step looks at the backlog by a plan that was made while nothing waited', async () => {
  const report: string[] = [];
  for (const { name, statement } of await stepsOn(await someOf())) {
    const ms = await timeOf(statement, RUNS);
    report.push(`${name}: ${ms.toFixed(2)} ms`);
    if (ms >= MOST_MS_TO_CLIENT) throw new Error(`${name} takes ${ms} ms`);
  }
  console.info(`${QUEUED} jobs wait, planned while none did:\n  ${report.join('\n  ')}`);
  expect(report.length).toBeGreaterThanOrEqual(10);
});

describe('planned over the backlog', () => {
  beforeAll(async () => {
    await client.query('vacuum analyze');
  });

  it('no step looks at the backlog: each is done in less than 10 ms of database time', async () => {
    const report: string[] = [];
    for (const { name, statement } of await stepsOn(await someOf())) {
      const { ms, plan } = await explain(statement);
      report.push(`${name}: ${ms.toFixed(2)} ms`);
      if (ms >= MOST_MS || /Seq Scan on jobs/.test(plan)) throw new Error(`${name} takes ${ms} ms:\n${plan}`);
    }
    console.info(`${QUEUED} jobs wait:\n  ${report.join('\n  ')}`);
    expect(report.length).toBeGreaterThanOrEqual(10);
  });

  it('what is planned for one run is kept, and a hundred that are written by that plan are found by their ids, each once', async () => {
    const ids = async (condition: string): Promise<string[]> => {
      const { rows } = await client.query<{ id: string }>(
        `select id from jobs where batch_id is not null and ${condition} order by id desc limit ${GROUP}`,
      );
      return rows.map(({ id }) => id);
    };
    const waiting = await ids(`status = 'queued'`);
    const running = await ids(`status = 'in_progress' and lease_token = 1`);
    const attempts = running.map((jobId) => newAttempt(jobId));
    const written: Record<string, (runs: JobRunsRepository, count: number) => Promise<unknown>> = {
      'claim lines': (runs, count) => runs.claim(waiting.slice(0, count), 'a worker', 'together'),
      'note attempts that begin': (runs, count) => runs.note(attempts.slice(0, count), 'together'),
      'end quiet jobs': (runs, count) => runs.endQuiet(attempts.slice(0, count).map(endOf)),
    };
    const report: string[] = [];
    for (const [name, write] of Object.entries(written)) {
      const statement = async (count: number) =>
        (await statementsOf(takenBack((trx) => write(new JobRunsRepository(trx), count))))[0];
      const [one, all] = [await statement(1), await statement(GROUP)];
      if (!one || !all) throw new Error(`${name} sends nothing`);
      expect(all.sql).toBe(one.sql);
      const { ms, plan } = await explainKept(one, all);
      report.push(`${name}: ${ms.toFixed(2)} ms`);
      const isSlow = ms >= MOST_MS_OF_GROUP || /Seq Scan on (jobs|attempts)|Rows Removed by Join/.test(plan);
      if (isSlow || !plan.includes(`rows=${GROUP}.00`)) throw new Error(`${name} takes ${ms} ms:\n${plan}`);
    }
    console.info(`${GROUP} together, ${QUEUED} wait:\n  ${report.join('\n  ')}`);
    expect(report).toHaveLength(3);
  });
});

/** As {@link explain}, by the plan that the server keeps once the statement was sent so often for few. Throws if it keeps none. */
async function explainKept(few: Statement, many: Statement): Promise<{ ms: number; plan: string }> {
  const executed = ({ parameters }: Statement): string =>
    `execute kept (${parameters.map(literalOf).join(', ')})`;
  await client.query(`prepare kept as ${few.sql}`);
  for (let time = 0; time < SENT_OFTEN; time += 1) {
    await client.query('begin');
    await client.query(executed(few));
    await client.query('rollback');
  }
  const { rows } = await client.query<{ kept: number }>(
    `select generic_plans::int as kept from pg_prepared_statements where name = 'kept'`,
  );
  if (!rows[0] || rows[0].kept === 0) throw new Error(`It is planned anew each time:\n${few.sql}`);
  const explained = await explain({ sql: executed(many), parameters: [] });
  await client.query('deallocate kept');
  return explained;
}

/** A parameter as it is written in a statement. */
function literalOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (Buffer.isBuffer(value)) return `'\\x${value.toString('hex')}'`;
  return escapeLiteral(Array.isArray(value) ? `{${value.join(',')}}` : String(value));
}
