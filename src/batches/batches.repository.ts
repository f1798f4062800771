import { Inject, Injectable } from '@nestjs/common';
import { type Selectable, sql } from 'kysely';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { BatchesTable } from '../storage/batch-tables.js';
import type { LineFlaw } from './check-line.js';

/** A batch as it is kept. */
export type BatchRow = Selectable<BatchesTable>;

/** A batch that is about to be made. */
export interface NewBatch {
  readonly id: string;
  readonly projectId: string;
  readonly endpoint: string;
  readonly completionWindow: string;
  readonly windowSeconds: number;
  readonly model: string | null;
  readonly webhookUrl: string | null;
  readonly priority: number;
  readonly metadata: Record<string, string>;
  readonly inputFileId: string;
  readonly outputExpiresInSeconds: number;
  readonly maxCostMicros: number | null;
  readonly maxErrorRate: number | null;
  readonly acceptInvalidLines: boolean;
  readonly dedupe: boolean;
  readonly retryOf: string | null;
}

export interface BatchPage {
  readonly limit: number;
  /** The uuid after which the page begins. */
  readonly after: string | null;
  readonly order: 'asc' | 'desc';
}

/** A line that was turned away, as the batch's `errors` tell it. */
export type RejectRow = LineFlaw & { readonly batchId: string; readonly line: number };

/** A batch of which something is still to be done. */
export const ACTIVE = sql`('validating', 'in_progress', 'finalizing', 'cancelling')`;
/** So many of the lines that were turned away are told in the batch itself. */
const MOST_TOLD = 1_000;

/** The SQL of making, showing and steering batches. Every query is bounded by the project. */
@Injectable()
export class BatchesRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  async insert(trx: DatabaseOrTransaction, batch: NewBatch): Promise<BatchRow> {
    return trx
      .insertInto('batches')
      .values({
        id: batch.id,
        project_id: batch.projectId,
        endpoint: batch.endpoint,
        completion_window: batch.completionWindow,
        model: batch.model,
        webhook_url: batch.webhookUrl,
        priority: batch.priority,
        metadata: JSON.stringify(batch.metadata),
        input_file_id: batch.inputFileId,
        output_expires_in: batch.outputExpiresInSeconds,
        max_cost_micros: batch.maxCostMicros,
        max_error_rate: batch.maxErrorRate,
        accept_invalid_lines: batch.acceptInvalidLines,
        dedupe: batch.dedupe,
        retry_of: batch.retryOf,
        expires_at: sql<Date>`now() + make_interval(secs => ${batch.windowSeconds})`,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  }

  /** Does the work in one transaction. */
  async transaction<Result>(work: (trx: DatabaseOrTransaction) => Promise<Result>): Promise<Result> {
    return this.db.transaction().execute(work);
  }

  /** How many unfinished batches the project has, counted no further than `most`. */
  async countActive(projectId: string, most: number): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from (
        select from batches where project_id = ${projectId} and status in ${ACTIVE} limit ${most}) b`.execute(
      this.db,
    );
    return rows[0]?.count ?? 0;
  }

  async find(projectId: string, batchId: string): Promise<BatchRow | undefined> {
    return this.db
      .selectFrom('batches')
      .selectAll()
      .where('id', '=', batchId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
  }

  async list(projectId: string, page: BatchPage): Promise<BatchRow[]> {
    let query = this.db
      .selectFrom('batches')
      .selectAll()
      .where('project_id', '=', projectId)
      .orderBy('id', page.order)
      .limit(page.limit);
    if (page.after !== null) query = query.where('id', page.order === 'asc' ? '>' : '<', page.after);
    return query.execute();
  }

  /** The first lines of these batches that were turned away. */
  async rejects(batchIds: readonly string[]): Promise<RejectRow[]> {
    if (batchIds.length === 0) return [];
    const { rows } = await sql<RejectRow>`
      select r.batch_id as "batchId", r.line, r.code, r.message, r.param
      from unnest(${[...batchIds]}::uuid[]) as b (id) cross join lateral (
        select * from batch_rejects where batch_id = b.id order by line limit ${MOST_TOLD}) r`.execute(
      this.db,
    );
    return rows;
  }

  /** Begins to cancel a batch that is read or runs; undefined if it is none of these. */
  async cancel(
    trx: DatabaseOrTransaction,
    projectId: string,
    batchId: string,
  ): Promise<BatchRow | undefined> {
    return this.steer(trx, projectId, batchId)
      .set({ status: 'cancelling', cancelling_at: sql<Date>`now()`, paused_at: null })
      .returningAll()
      .executeTakeFirst();
  }

  /** Pauses or resumes a batch that is read or runs; undefined if it is none of these. */
  async setPaused(
    trx: DatabaseOrTransaction,
    projectId: string,
    batchId: string,
    isPaused: boolean,
  ): Promise<BatchRow | undefined> {
    return this.steer(trx, projectId, batchId)
      .set({ paused_at: isPaused ? sql<Date>`coalesce(paused_at, now())` : null })
      .returningAll()
      .executeTakeFirst();
  }

  private steer(trx: DatabaseOrTransaction, projectId: string, batchId: string) {
    return trx
      .updateTable('batches')
      .set({ news: sql<number>`news + 1`, due_at: sql<Date>`now()` })
      .where('id', '=', batchId)
      .where('project_id', '=', projectId)
      .where('status', 'in', ['validating', 'in_progress'])
      .where('stop_code', 'is', null);
  }
}
