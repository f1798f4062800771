import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database } from '../storage/database.js';
import { closeOpenAttempts } from './attempts.repository.js';
import { bellOf, type JobBell, type RungJob } from './job-bell.js';
import { MAY_RUN, RUNG_FIRST, RUNG_IN_DOUBT } from './dispatch-window.repository.js';
import { type AlsoWrite, ENDED_COLUMNS, type EndedJob, EXPIRED } from './job-ends.repository.js';
import { sumUp } from './job-runs.repository.js';

/** So often may the process that runs a job die before the job is taken for the cause. */
const MOST_CRASHES = 3;

/**
 * The SQL that is done to many jobs at once: whose worker died, and which are past their deadline. They are found by arrays of
 * ids: the planner, which can't know how few there are, would read the whole table to join them.
 */
@Injectable()
export class JobSweepsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Takes back the jobs whose worker was not heard of: their open attempts become interrupted, and they are due again and to be
   * rung at once, whether or not the window has room, or have failed when it happened too often.
   */
  async reap(
    limit: number,
    alsoWrite: AlsoWrite,
  ): Promise<{ taken: number; ended: EndedJob[]; bells: Bell[]; again: JobBell[] }> {
    const isLast = sql`crash_count + 1 >= ${MOST_CRASHES}`;
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql<EndedJob & RungJob & { isRung: boolean }>`
        update jobs set
          status = case when ${isLast} then 'failed' else 'queued' end,
          finished_at = case when ${isLast} then now() end,
          error_code = case when ${isLast} then 'worker_crash_loop' end,
          error_message = case when ${isLast}
            then 'The worker that ran this job died ' || (crash_count + 1) || ' times.' end,
          crash_count = crash_count + 1, lease_token = lease_token + 1, lease_until = null, worker = null,
          dispatch_no = dispatch_no + 1, due_at = least(due_at, now()),
          -- They have waited for a lease to run out, and who takes them back may be the next to die.
          rung_at = case when not (${isLast}) and ${MAY_RUN} then ${RUNG_IN_DOUBT} end
        where id = any(array(
          select id from jobs where status = 'in_progress' and lease_until < now()
          order by lease_until limit ${limit} for update skip locked))
        returning ${ENDED_COLUMNS}, ${RUNG_FIRST},
          rung_at is not null as "isRung"`.execute(trx);
      if (rows.length === 0) return { taken: 0, ended: [], bells: [], again: [] };
      const ids = rows.map((row) => row.id);
      await closeOpenAttempts(trx, ids, 'interrupted', 'the worker was not heard of any more');
      await sumUp(trx, ids);
      const ended = rows.filter((row) => row.status === 'failed');
      const again = rows.filter((row) => row.isRung).map(bellOf);
      return { taken: rows.length, ended, bells: await alsoWrite(trx, ended), again };
    });
  }

  /** Ends the jobs that waited past their deadline. */
  async expire(limit: number, alsoWrite: AlsoWrite): Promise<{ ended: EndedJob[]; bells: Bell[] }> {
    return this.db.transaction().execute(async (trx) => {
      const { rows: ended } = await sql<EndedJob>`
        update jobs set status = 'expired', finished_at = now(), waiting = false,
          error_code = ${EXPIRED.errorCode}, error_message = ${EXPIRED.errorMessage}
        where id = any(array(
          select id from jobs where status = 'queued' and expires_at <= now()
          order by expires_at limit ${limit} for update skip locked))
        returning ${ENDED_COLUMNS}`.execute(trx);
      return { ended, bells: await alsoWrite(trx, ended) };
    });
  }
}
