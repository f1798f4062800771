import { Inject, Injectable } from '@nestjs/common';
import { type RawBuilder, sql, type UpdateObject } from 'kysely';
import { LEASE_SECONDS } from '../storage/lease.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { BatchStatus } from '../storage/batch-tables.js';
import type { Schema } from '../storage/schema.js';
import { ACTIVE, type BatchRow } from './batches.repository.js';
import type { Reject } from './check-line.js';

/** A batch that was called and not taken is called again after this long. */
const CALL_AGAIN_SECONDS = 5;

/** The right to advance a batch: every write of a step is guarded by the token. */
export interface BatchLease {
  readonly batchId: string;
  readonly token: number;
}

/** A batch in the hands of who advances it. */
export interface HeldBatch extends BatchRow {
  /** `written_until` as the database writes it: a Date would lose the microseconds by which lines are told apart. */
  readonly writtenUntil: string | null;
}

/** Some of a batch's columns, with new values. */
export type BatchValues = UpdateObject<Schema, 'batches'>;

/** A time as the database writes it, to be written back without loss. */
export function timestamp(text: string): RawBuilder<Date> {
  return sql<Date>`${text}::timestamptz`;
}

/** The SQL of advancing batches. All times are the database's. */
@Injectable()
export class BatchStepsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Takes the batch. Null if somebody has it (who is told that there is news), or nothing is left to be done. */
  async claim(batchId: string): Promise<BatchLease | null> {
    const { rows } = await sql<{ token: number }>`
      update batches set lease_token = lease_token + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      where id = ${batchId} and status in ${ACTIVE} and (lease_until is null or lease_until < now())
      returning lease_token as token`.execute(this.db);
    if (rows[0]) return { batchId, token: rows[0].token };
    await sql`update batches set news = news + 1 where id = ${batchId} and status in ${ACTIVE}`.execute(
      this.db,
    );
    return null;
  }

  /** The batch as it is now; undefined if the lease is lost. */
  async read({ batchId, token }: BatchLease): Promise<HeldBatch | undefined> {
    return this.db
      .selectFrom('batches')
      .selectAll()
      .select(sql<string | null>`written_until::text`.as('writtenUntil'))
      .where('id', '=', batchId)
      .where('lease_token', '=', token)
      .executeTakeFirst();
  }

  /** Keeps the lease; false if it is lost. */
  async renew({ batchId, token }: BatchLease): Promise<boolean> {
    const { numAffectedRows } = await sql`
      update batches set lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      where id = ${batchId} and lease_token = ${token} and lease_until is not null`.execute(this.db);
    return (numAffectedRows ?? 0n) > 0n;
  }

  /** Gives the batch back until it is due again; false if there has been news since `news` was read: then it is still held. */
  async release({ batchId, token }: BatchLease, news: number, delayMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`
      update batches set lease_until = null, due_at = now() + make_interval(secs => ${delayMs / 1000})
      where id = ${batchId} and lease_token = ${token} and news = ${news}`.execute(this.db);
    return (numAffectedRows ?? 0n) > 0n;
  }

  /** Gives the batch back at once, whatever is new. */
  async giveUp({ batchId, token }: BatchLease): Promise<void> {
    await sql`update batches set lease_until = null, due_at = now()
      where id = ${batchId} and lease_token = ${token}`.execute(this.db);
  }

  /**
   * Does a part of a step, in one transaction, if the lease still holds and the batch is still in this status. False if not:
   * then nothing was done.
   */
  async within(
    { batchId, token }: BatchLease,
    status: BatchStatus,
    work: (trx: DatabaseOrTransaction) => Promise<void>,
  ): Promise<boolean> {
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql`
        select 1 from batches where id = ${batchId} and lease_token = ${token} and status = ${status}
        for no key update`.execute(trx);
      if (rows.length === 0) return false;
      await work(trx);
      return true;
    });
  }

  /** Writes some of the batch's own columns; within {@link within}. */
  async set(trx: DatabaseOrTransaction, batchId: string, values: BatchValues): Promise<void> {
    await trx.updateTable('batches').set(values).where('id', '=', batchId).execute();
  }

  /** Begins to run a batch whose input is read. */
  async begin(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    await this.set(trx, batchId, { status: 'in_progress', in_progress_at: sql<Date>`now()` });
  }

  /** Whether the batch is paused, as the caller's transaction sees it. */
  async isPaused(trx: DatabaseOrTransaction, batchId: string): Promise<boolean> {
    const { rows } = await sql`select 1 from batches where id = ${batchId} and paused_at is not null`.execute(
      trx,
    );
    return rows.length > 0;
  }

  /** Begins to finish a batch whose jobs have all ended. */
  async finalize(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    await this.set(trx, batchId, { status: 'finalizing', finalizing_at: sql<Date>`now()`, paused_at: null });
  }

  /** Ends the batch, and gives it back. */
  async end(
    trx: DatabaseOrTransaction,
    batchId: string,
    status: 'completed' | 'failed' | 'expired' | 'cancelled',
  ): Promise<void> {
    const now = sql<Date>`now()`;
    const at = {
      completed: { completed_at: now },
      failed: { failed_at: now },
      expired: { expired_at: now },
      cancelled: { cancelled_at: now },
    };
    await this.set(trx, batchId, { status, paused_at: null, lease_until: null, ...at[status] });
  }

  /** Which of these custom ids belong to a line that was turned away. */
  async customIdsOfRejects(batchId: string, customIds: readonly string[]): Promise<Set<string>> {
    const { rows } = await sql<{ custom_id: string }>`
      select custom_id from batch_rejects
      where batch_id = ${batchId} and custom_id = any(${[...customIds]}::text[])`.execute(this.db);
    return new Set(rows.map((row) => row.custom_id));
  }

  async insertRejects(
    trx: DatabaseOrTransaction,
    batchId: string,
    rejects: readonly Reject[],
  ): Promise<void> {
    if (rejects.length === 0) return;
    await sql`
      insert into batch_rejects (batch_id, line, custom_id, code, message, param)
      select ${batchId}::uuid, * from unnest(${rejects.map((each) => each.line)}::int[],
        ${rejects.map((each) => each.customId)}::text[], ${rejects.map((each) => each.code)}::text[],
        ${rejects.map((each) => storable(each.message))}::text[], ${rejects.map((each) => each.param && storable(each.param))}::text[])`.execute(
      trx,
    );
  }

  /** The lines that were turned away, in their order, without the first `skip`. They do not change once all is read. */
  async rejects(batchId: string, skip: number, limit: number): Promise<Reject[]> {
    const { rows } = await sql<Reject>`
      select line, custom_id as "customId", code, message, param from batch_rejects
      where batch_id = ${batchId} order by line offset ${skip} limit ${limit}`.execute(this.db);
    return rows;
  }

  /** The batches that are due for their next step and that nobody has; they are due again later, should nobody come. */
  async due(limit: number): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      update batches set due_at = now() + make_interval(secs => ${CALL_AGAIN_SECONDS}) where id = any(array(
        select id from batches where status in ${ACTIVE} and due_at <= now()
          and (lease_until is null or lease_until < now())
        order by due_at limit ${limit} for update skip locked))
      returning id`.execute(this.db);
    return rows.map((row) => row.id);
  }
}

/** What users wrote and messages repeat may hold what PostgreSQL can't keep. */
function storable(text: string): string {
  return text.replaceAll(/\p{Surrogate}|\0/gu, '\uFFFD');
}
