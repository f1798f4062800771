/** How the database finds what is to be removed, in a table that is large: it must never read the whole of it. */
import { Kysely, type CompiledQuery, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { BatchRetentionRepository } from '../src/batches/batch-retention.repository.js';
import { FilesRepository } from '../src/batches/files.repository.js';
import { IdempotencyRepository } from '../src/http/idempotency.repository.js';
import { JobForgettingRepository } from '../src/jobs/job-forgetting.repository.js';
import { JobRetentionRepository } from '../src/jobs/job-retention.repository.js';
import { migrate } from '../src/storage/database.js';
import type { Schema } from '../src/storage/schema.js';
import { EventRetentionRepository } from '../src/webhooks/event-retention.repository.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';

const YOUNG = 100_000;
const PROJECT = '01900000-0000-7000-8000-000000000001';
const NIL = '00000000-0000-0000-0000-000000000000';
const TABLES = [
  'jobs',
  'attempts',
  'webhook_events',
  'webhook_deliveries',
  'idempotency_keys',
  'files',
  'job_requests',
];

let database: TestDatabase;
let db: Kysely<Schema>;
const asked: CompiledQuery[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  db = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: database.url, max: 2 }) }),
    log: ({ query }) => void asked.push(query),
  });
  await migrate(db);
  await seed();
}, 120_000);

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

/** Ids and times of `YOUNG` rows are of now, and those of some more of long ago. */
async function seed(): Promise<void> {
  await sql`insert into chains (id, project_id, digest, body) values (${NIL}, ${PROJECT}, '', '{}')`.execute(
    db,
  );
  // A UUIDv7 of a moment; its rest counts.
  await sql`create function id_of(at timestamptz, n int) returns uuid language sql immutable as $$
    select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
    from (select lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as h) t $$`.execute(db);
  const rows = sql`(select n, case when n <= ${YOUNG}::int then now() - interval '1 hour' else now() - interval '40 days' end as at
    from generate_series(1, ${YOUNG + 300}::int) n) t`;
  await sql`insert into jobs (id, project_id, status, endpoint, model, chain_id, priority, metadata, store, created_at, finished_at, expires_at)
    select id_of(at, n), ${PROJECT}, 'completed', '', 'm', ${NIL}, 1, '{}', n % 2 = 0, at, at, now() from ${rows}`.execute(
    db,
  );
  const made = sql`(select row_number() over (order by id)::int as n, id, created_at as at from jobs) t`;
  await sql`insert into job_requests (job_id, project_id, body) select id, ${PROJECT}, 'body' from ${made}`.execute(
    db,
  );
  await sql`insert into attempts (id, job_id, project_id, index, round, step, model, provider, worker, lease_token)
    select id, id, ${PROJECT}, 0, 0, 0, 'm', 'p', 'w', 1 from ${made}`.execute(db);
  await sql`insert into webhook_events (id, project_id, type, job_id, data, created_at)
    select id, ${PROJECT}, 'job.completed', case when n % 3 > 0 then id end, '{}', at from ${made}`.execute(
    db,
  );
  await sql`insert into webhook_deliveries (id, project_id, event_id, event_type, job_id, url, lane, status)
    select id, ${PROJECT}, id, 'job.completed', case when n % 3 > 0 then id end, '', 'l',
      case when n % 10 = 0 then 'pending' else 'succeeded' end from ${made}`.execute(db);
  await sql`insert into idempotency_keys (project_id, route, key, digest, resource_id, created_at)
    select ${PROJECT}, 'r', n::text, '', id, at from ${made}`.execute(db);
  await sql`insert into files (id, project_id, purpose, filename, status, kept_in, created_at)
    select id, ${PROJECT}, 'batch', 'f', 'ready', 'database', at from ${made}`.execute(db);
  await sql`vacuum analyze`.execute(db);
}

type Plan = { 'Node Type': string; 'Relation Name'?: string; Plans?: Plan[] };

function* nodesOf(plan: Plan): Generator<Plan> {
  yield plan;
  for (const part of plan.Plans ?? []) yield* nodesOf(part);
}

/** The tables that the plans of what was asked read from end to end, of those that are large. */
async function readWhole(work: () => Promise<unknown>): Promise<string[]> {
  asked.length = 0;
  await work();
  const statements = asked.filter((query) => /^\s*(with|select|update|delete)\b/i.test(query.sql));
  expect(statements.length).toBeGreaterThan(0);
  const found: string[] = [];
  for (const { sql: text, parameters } of statements) {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    // Once for these values, and once as a statement is planned that is prepared.
    for (const mode of ['force_custom_plan', 'force_generic_plan']) {
      await client.query(`set plan_cache_mode = ${mode}`);
      const { rows } = await client.query({
        name: `explain-${mode}`,
        text: `explain (format json) ${text}`,
        values: [...parameters],
      });
      const [{ Plan: plan } = { Plan: undefined }] = (rows[0] as { 'QUERY PLAN': { Plan: Plan }[] })[
        'QUERY PLAN'
      ];
      if (!plan) throw new Error('There is no plan');
      for (const node of nodesOf(plan)) {
        if (node['Node Type'] === 'Seq Scan' && TABLES.includes(node['Relation Name'] ?? '')) {
          found.push(`${node['Relation Name']} in ${mode}: ${text}`);
        }
      }
    }
    await client.end();
  }
  return found;
}

const MONTH_AGO = new Date(Date.now() - 30 * 86_400_000);
const FIRST = { createdAt: '-infinity', id: NIL, key: '', finishedAt: '-infinity', jobId: NIL };

it.each<[string, () => Promise<unknown>]>([
  ['jobs', () => new JobRetentionRepository(db).removeOld(PROJECT, NIL, MONTH_AGO)],
  ['lines', () => new JobRetentionRepository(db).removeLines(NIL)],
  ['one job', () => new JobRetentionRepository(db).removeOne(PROJECT, NIL)],
  ['bodies', () => new JobForgettingRepository(db).forgetNext(FIRST)],
  ['events', () => new EventRetentionRepository(db).removeNext(PROJECT, FIRST, MONTH_AGO)],
  ['keys', () => new IdempotencyRepository(db).removeNext(FIRST)],
  ['files', () => new FilesRepository(db).deleteOld(PROJECT, NIL, MONTH_AGO)],
  ['batches', () => new BatchRetentionRepository(db).old(PROJECT, NIL, MONTH_AGO)],
])('%s are found by an index among a hundred thousand', async (_, work) => {
  expect(await readWhole(work)).toEqual([]);
});

it('One that reads a table from end to end would be seen', async () => {
  const found = await readWhole(() => sql`select count(*) from attempts where message is null`.execute(db));
  expect(found).toHaveLength(2);
});
