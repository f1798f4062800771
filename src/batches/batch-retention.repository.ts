import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { MOST_ROWS } from '../retention/remover.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { firstUuidAt } from '../storage/ids.js';
import { ACTIVE } from './batches.repository.js';

/** The SQL of finding and removing batches that ended long ago. Their lines are the jobs room's. */
@Injectable()
export class BatchRetentionRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Of a project's next batches after a uuid those that ended before a moment, and the uuid of the last one that was looked at;
   * null when all were. One with a delivery that is pending stays.
   */
  async old(
    projectId: string,
    after: string,
    before: Date,
  ): Promise<{ batchIds: string[]; next: string | null }> {
    // A batch is older than its end: no id behind the moment can be meant.
    const { rows } = await sql<{ id: string; goes: boolean }>`
      with seen as materialized (
        select id, status not in ${ACTIVE}
          and greatest(completed_at, failed_at, expired_at, cancelled_at) < ${before} as is_old from batches
        where project_id = ${projectId} and id > ${after} and id < ${firstUuidAt(before.getTime())}
        order by id limit ${MOST_ROWS}
      ), held as materialized (
        select batch_id from webhook_deliveries
        where batch_id = any(array(select id from seen where is_old)) and status = 'pending'
      )
      select id, coalesce(is_old, false) and id not in (select batch_id from held) as goes from seen order by id`.execute(
      this.db,
    );
    return {
      batchIds: rows.filter((row) => row.goes).map((row) => row.id),
      next: rows.length < MOST_ROWS ? null : (rows.at(-1)?.id ?? null),
    };
  }

  /** Removes some of the lines that were turned away; answers how many. */
  async removeRejects(batchId: string): Promise<number> {
    const { numAffectedRows } = await sql`
      delete from batch_rejects where batch_id = ${batchId} and line = any(array(
        select line from batch_rejects where batch_id = ${batchId}
        order by line limit ${MOST_ROWS} for update skip locked))`.execute(this.db);
    return Number(numAffectedRows ?? 0n);
  }

  /**
   * Removes the batch itself, and does what belongs to the same moment. False if `isLeft` finds something of it that is left, or
   * it is gone already: then nothing was done.
   */
  async remove(
    batchId: string,
    isLeft: (trx: DatabaseOrTransaction) => Promise<boolean>,
    alsoRemove: (trx: DatabaseOrTransaction) => Promise<void>,
  ): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql`select from batches where id = ${batchId} for update skip locked`.execute(
        trx,
      );
      if (rows.length === 0 || (await isLeft(trx))) return false;
      await alsoRemove(trx);
      await sql`delete from batches where id = ${batchId}`.execute(trx);
      return true;
    });
  }
}
