import { Injectable, Optional } from '@nestjs/common';
import type { DatabaseOrTransaction } from '../storage/database.js';
import type { JobStatus } from '../storage/schema.js';
import { BatchBell } from './batch-bell.js';
import {
  BatchLinesRepository,
  type CancelReason,
  type LinesOf,
  type NewLine,
} from './batch-lines.repository.js';
import {
  BatchResultsRepository,
  type EndedLine,
  type EndedPage,
  type EndOf,
  type LineRequest,
} from './batch-results.repository.js';
import { JobRetentionRepository } from './job-retention.repository.js';
import { Dispatcher } from './dispatcher.js';
import {
  BatchTalliesRepository,
  EMPTY_TALLY,
  type Progress,
  type Tally,
} from './batch-tallies.repository.js';

export type { CancelReason, LinesOf, NewLine } from './batch-lines.repository.js';
export type { EndedLine, EndOf, LineRequest } from './batch-results.repository.js';
export { EMPTY_TALLY, type Progress, type Tally } from './batch-tallies.repository.js';

/**
 * What the batches room asks of jobs: the lines of a batch are jobs like all others, that may run while the batch is open.
 * What is done in a transaction is the caller's to commit.
 */
@Injectable()
export class BatchJobsService {
  constructor(
    private readonly lines: BatchLinesRepository,
    private readonly results: BatchResultsRepository,
    private readonly tallies: BatchTalliesRepository,
    private readonly removing: JobRetentionRepository,
    private readonly bell: BatchBell,
    // Only workers dispatch.
    @Optional() private readonly dispatcher: Dispatcher | undefined,
  ) {}

  /** Makes jobs of lines; none runs before {@link open}. */
  insert(trx: DatabaseOrTransaction, of: LinesOf, lines: readonly NewLine[]): Promise<void> {
    return this.lines.insert(trx, of, lines);
  }

  /** Which of these custom ids are lines of the batch already. */
  customIdsAmong(batchId: string, customIds: readonly string[]): Promise<Set<string>> {
    return this.lines.customIdsAmong(batchId, customIds);
  }

  /** Leaves of equal requests only the first to run; the others will share its answer. */
  shareEqual(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    return this.lines.shareEqual(trx, batchId);
  }

  /** Lets a batch's jobs run, for the first time. */
  open(trx: DatabaseOrTransaction, of: LinesOf): Promise<void> {
    return this.lines.open(trx, of);
  }

  /** Lets a batch's jobs run again. */
  reopen(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    return this.lines.reopen(trx, batchId);
  }

  /** Lets none of its jobs begin any more; those that run go on. */
  close(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    return this.lines.close(trx, batchId);
  }

  /** Removes all jobs of a batch of which none ever ran, step by step. */
  async drop(batchId: string, signal: AbortSignal): Promise<void> {
    const MOST_AT_ONCE = 2_000;
    while (!signal.aborted && (await this.lines.drop(batchId, MOST_AT_ONCE)) === MOST_AT_ONCE);
  }

  /** Removes some lines of a batch that has ended; answers how many: none when nothing is left, or others are at them all. */
  removeLines(batchId: string): Promise<number> {
    return this.removing.removeLines(batchId);
  }

  /** Removes how a batch's jobs were let out and counted; they are gone by then. */
  removeTallies(trx: DatabaseOrTransaction, batchId: string): Promise<void> {
    return this.tallies.remove(trx, batchId);
  }

  /** Whether a batch has jobs. */
  hasLines(trx: DatabaseOrTransaction, batchId: string): Promise<boolean> {
    return this.lines.exist(trx, batchId);
  }

  /** Cancels all that is left of a batch, and stops what runs of it. */
  cancelAll(trx: DatabaseOrTransaction, batchId: string, reason: CancelReason): Promise<void> {
    return this.lines.cancelAll(trx, batchId, reason);
  }

  /** By the batch's uuid, for each that is asked for. */
  progress(batchIds: readonly string[]): Promise<Map<string, Progress>> {
    return this.tallies.progress(batchIds);
  }

  /** What has become of one batch's jobs. */
  async tally(batchId: string): Promise<Tally> {
    return (await this.tallies.progress([batchId])).get(batchId) ?? EMPTY_TALLY;
  }

  /** The next page of lines that have ended; none when there are no more. A page is bounded in bytes. */
  ended(batchId: string, page: EndedPage): Promise<EndedLine[]> {
    return this.results.ended(batchId, page);
  }

  /** A moment before which no line will end any more: what is read up to it is never read too early. */
  horizon(): Promise<string> {
    return this.results.horizon();
  }

  /** Where a line stands among those that have ended; undefined if it has not. */
  endOf(batchId: string, jobId: string): Promise<EndOf | undefined> {
    return this.results.endOf(batchId, jobId);
  }

  /** The next page of requests whose lines ended in one of these ways, in the order of the input. */
  requests(
    batchId: string,
    statuses: readonly JobStatus[],
    afterJobId: string | null,
  ): Promise<LineRequest[]> {
    return this.results.requests(batchId, statuses, afterJobId);
  }

  /** Has this process, if it is a worker, ring what may run now. Never throws. */
  dispatchSoon(): void {
    this.dispatcher?.soon();
  }

  /** Has the batch's next step taken soon. Never throws. */
  advance(batchId: string): void {
    this.bell.news(batchId);
  }
}
