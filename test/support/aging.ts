/** Puts what is in the database into the past: its times, and the ids, which hold the time at which they were made. */
import { sql } from 'kysely';
import { v7 } from 'uuid';
import type { Database } from '../../src/storage/database.js';
import { type IdPrefix, toPublicId, toUuid } from '../../src/storage/ids.js';

const DAY_MS = 86_400_000;

/** Tables whose rows belong to a job or a batch by this column. */
const BELONGINGS = {
  jobs: [
    'job_requests.job_id',
    'job_responses.job_id',
    'attempts.job_id',
    'webhook_events.job_id',
    'webhook_deliveries.job_id',
    'idempotency_keys.resource_id',
  ],
  batches: [
    'jobs.batch_id',
    'batch_rejects.batch_id',
    'batch_runs.batch_id',
    'batch_tallies.batch_id',
    'webhook_events.batch_id',
    'webhook_deliveries.batch_id',
    'idempotency_keys.resource_id',
  ],
} as const;

const TIMES = {
  jobs: ['created_at', 'started_at', 'finished_at', 'due_at', 'expires_at'],
  batches: [
    'created_at',
    'in_progress_at',
    'finalizing_at',
    'completed_at',
    'failed_at',
    'expired_at',
    'cancelled_at',
  ],
} as const;

/** Makes a job so many days older; it has another id from then on, which is given. `projectId` also moves it. */
export async function ageJob(db: Database, id: string, days: number, projectId?: string): Promise<string> {
  return age(db, 'jobs', 'job', id, days, projectId);
}

/** As {@link ageJob}, for a batch; its lines stay as old as they are. */
export async function ageBatch(db: Database, id: string, days: number): Promise<string> {
  return age(db, 'batches', 'batch', id, days);
}

async function age(
  db: Database,
  table: keyof typeof TIMES,
  prefix: IdPrefix,
  id: string,
  days: number,
  projectId?: string,
): Promise<string> {
  const old = toUuid(prefix, id);
  if (old === null) throw new Error(`${id} is no id`);
  const uuid = v7({ msecs: Date.now() - days * DAY_MS });
  const changes = { id: uuid, ...(projectId === undefined ? {} : { project_id: projectId }) };
  await db.transaction().execute(async (trx) => {
    const { numAffectedRows } = await sql`
      insert into ${sql.table(table)} select (jsonb_populate_record(t, ${JSON.stringify(changes)}::jsonb)).*
      from ${sql.table(table)} t where id = ${old}`.execute(trx);
    if (!numAffectedRows) throw new Error(`${id} is not there`);
    const shifted = TIMES[table].map(
      (column) => sql`${sql.ref(column)} = ${sql.ref(column)} - make_interval(secs => ${days * 86_400})`,
    );
    await sql`update ${sql.table(table)} set ${sql.join(shifted)} where id = ${uuid}`.execute(trx);
    for (const place of BELONGINGS[table]) {
      const [of = '', column = ''] = place.split('.');
      await sql`update ${sql.table(of)} set ${sql.ref(column)} = ${uuid} where ${sql.ref(column)} = ${old}`.execute(
        trx,
      );
    }
    await sql`delete from ${sql.table(table)} where id = ${old}`.execute(trx);
  });
  return toPublicId(prefix, uuid);
}
