import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { MOST_ROWS } from '../retention/remover.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { firstUuidAt } from '../storage/ids.js';

/** So many rows of the index are looked at in one step: lines of batches, which go with their batch, lie among the others. */
const MOST_LOOKED_AT = 2_000;

/** What came of a step through a project's jobs. */
export interface OldJobsStep {
  readonly removed: number;
  /** The uuid with which the next step begins; null when all are looked at. */
  readonly next: string | null;
  /** The uuid of the first job that will have to go and could not yet; null if there is none. */
  readonly firstHeld: string | null;
}

interface Judged {
  readonly ids: string[];
  readonly looked: number;
  readonly last: string | null;
  readonly firstHeld: string | null;
}

/**
 * The SQL of removing jobs with all that hangs on them. They are found by arrays of ids: the planner, which can't know how few
 * there are, would read the whole table to join them.
 */
@Injectable()
export class JobRetentionRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Removes single jobs of a project that ended before a moment, from the one with this uuid on. One with a delivery that is
   * pending stays.
   */
  async removeOld(projectId: string, from: string, before: Date): Promise<OldJobsStep> {
    return this.db.transaction().execute(async (trx) => {
      // A job is older than its end: no id behind the moment can be meant, and the index is read no further.
      const { rows: judged } = await sql<Judged>`
        with seen as materialized (
          select id, batch_id is null as is_single, coalesce(finished_at < ${before}, false) as is_old from jobs
          where project_id = ${projectId} and id >= ${from} and id < ${firstUuidAt(before.getTime())}
          order by id limit ${MOST_LOOKED_AT}
        ), held as materialized (
          select job_id from webhook_deliveries
          where job_id = any(array(select id from seen where is_single and is_old)) and status = 'pending'
        ), judged as materialized (
          select id, is_single, is_single and is_old and id not in (select job_id from held) as goes from seen
        )
        select array(select id from judged where goes order by id limit ${MOST_ROWS}) as ids,
          (select count(*)::int from judged) as looked,
          (select id from judged order by id desc limit 1) as last,
          (select id from judged where is_single and not goes order by id limit 1) as "firstHeld"`.execute(
        trx,
      );
      const { ids = [], looked = 0, last = null, firstHeld = null } = judged[0] ?? {};
      const removed = await remove(trx, ids);
      // One that somebody else has is theirs to remove, and still there if they do not.
      const locked = ids.find((id) => !removed.has(id)) ?? null;
      const isWhole = ids.length < MOST_ROWS;
      return {
        removed: removed.size,
        next: isWhole ? (looked < MOST_LOOKED_AT ? null : last) : (ids.at(-1) ?? null),
        firstHeld: least(firstHeld, locked),
      };
    });
  }

  /** Removes lines of a batch; answers how many, which is none when nothing is left or others have them all. */
  async removeLines(batchId: string): Promise<number> {
    const { numAffectedRows } = await sql`
      delete from jobs where id = any(array(
        select id from jobs where batch_id = ${batchId} order by id limit ${MOST_ROWS} for update skip locked))`.execute(
      this.db,
    );
    return Number(numAffectedRows ?? 0n);
  }

  /** Removes a single job that has ended; false if it is none, or not there. */
  async removeOne(projectId: string, jobId: string): Promise<boolean> {
    const { numAffectedRows } = await sql`
      delete from jobs where id = ${jobId} and project_id = ${projectId} and finished_at is not null
        and batch_id is null`.execute(this.db);
    return (numAffectedRows ?? 0n) > 0n;
  }
}

async function remove(trx: DatabaseOrTransaction, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { rows } = await sql<{ id: string }>`
    delete from jobs where id = any(array(
      select id from jobs where id = any(${[...ids]}::uuid[]) order by id for update skip locked))
    returning id`.execute(trx);
  return new Set(rows.map((row) => row.id));
}

/** UUIDs as PostgreSQL writes them are in the order of their texts. */
function least(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}
