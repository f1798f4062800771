import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { MOST_ROWS, type Step } from '../retention/remover.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { EXPIRED } from './job-ends.repository.js';

/** So long the result of a job that is not to be stored can be fetched, if no receiver was sent it. */
const FETCHABLE = sql.raw(`interval '1 hour'`);
/** What stands in the place of an error's message that came from a provider. */
const FORGOTTEN_MESSAGE = 'What the provider said was not stored.';

/** The place behind a job, in the order of their ends. */
export interface ForgettingPlace {
  /** As the database writes it. */
  readonly finishedAt: string;
  readonly jobId: string;
}

/** The SQL of forgetting the bodies of jobs that were submitted with `store: false`. */
@Injectable()
export class JobForgettingRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Empties the bodies of the next jobs after a place whose result is delivered: no delivery is pending, and one of them carried
   * the whole result, or an hour has passed since the end. Answers how many, and the next place; null when all were looked at.
   */
  async forgetNext(after: ForgettingPlace): Promise<Step<ForgettingPlace>> {
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql<ForgettingPlace & { goes: boolean }>`
        with seen as materialized (
          select id, finished_at from jobs where not store and forgotten_at is null and finished_at is not null
            and (finished_at, id) > (${after.finishedAt}::timestamptz, ${after.jobId}::uuid)
          order by finished_at, id limit ${MOST_ROWS} for no key update skip locked
        ), told as materialized (
          select job_id, bool_or(status = 'pending') as is_held, bool_or(carried_result) as is_carried
          from webhook_deliveries where job_id = any(array(select id from seen)) group by job_id
        )
        select id as "jobId", finished_at::text as "finishedAt",
          not coalesce(is_held, false) and (coalesce(is_carried, false) or finished_at < now() - ${FETCHABLE}) as goes
        from seen left join told on told.job_id = seen.id order by finished_at, id`.execute(trx);
      const ids = rows.filter((row) => row.goes).map((row) => row.jobId);
      if (ids.length > 0) await forget(trx, ids);
      const last = rows.length < MOST_ROWS ? undefined : rows.at(-1);
      return { count: ids.length, next: last ?? null };
    });
  }
}

async function forget(trx: DatabaseOrTransaction, jobIds: readonly string[]): Promise<void> {
  const ids = sql`${[...jobIds]}::uuid[]`;
  for (const table of ['job_requests', 'job_responses']) {
    await sql`
      update ${sql.table(table)} set sha256 = sha256(convert_to(body, 'UTF8')), body = ''
      where job_id = any(${ids}) and sha256 is null`.execute(trx);
  }
  // A message of an attempt that got a reply may repeat what the provider said.
  await sql`
    update attempts set error_body = null, message = case when http_status is null then message end
    where job_id = any(${ids}) and (error_body is not null or (message is not null and http_status is not null))`.execute(
    trx,
  );
  // Receivers may answer with what they were sent.
  await sql`
    update webhook_tries set response_text = null where delivery_id = any(array(
      select id from webhook_deliveries where job_id = any(${ids}))) and response_text is not null`.execute(
    trx,
  );
  await sql`
    update jobs set forgotten_at = now(),
      error_message = case when error_code in (${EXPIRED.errorCode}, 'worker_crash_loop') then error_message
        when error_code is not null then ${FORGOTTEN_MESSAGE} end
    where id = any(${ids})`.execute(trx);
}
