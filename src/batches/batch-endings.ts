import { Inject, Injectable } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { BatchJobsService } from '../jobs/batch-jobs.service.js';
import type { Bell } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { EventType } from '../webhooks/event.js';
import { WebhooksService } from '../webhooks/webhooks.service.js';
import type { ReadProblem, ReadSoFar } from './batch-ingest.js';
import { BatchOutput } from './batch-output.js';
import { eventOf } from './batch-reply.js';
import { type BatchLease, BatchStepsRepository, type HeldBatch } from './batch-steps.repository.js';

/** How a batch can end. */
export type EndStatus = 'completed' | 'failed' | 'expired' | 'cancelled';

/** Why nothing of a batch may run; `code` is null where its lines tell it themselves. */
export interface BatchProblem {
  readonly code: string | null;
  readonly message: string | null;
}

const EVENTS: Readonly<Record<EndStatus, EventType>> = {
  completed: 'batch.completed',
  failed: 'batch.failed',
  expired: 'batch.expired',
  cancelled: 'batch.cancelled',
};

/** The end of a batch, whichever way it comes: its files are shown and its event is written in the transaction that ends it. */
@Injectable()
export class BatchEndings {
  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly steps: BatchStepsRepository,
    private readonly output: BatchOutput,
    private readonly jobs: BatchJobsService,
    private readonly webhooks: WebhooksService,
    private readonly metrics: MetricsService,
  ) {}

  private get problems(): Readonly<Record<ReadProblem, BatchProblem>> {
    return {
      gone: {
        code: 'input_file_missing',
        message: 'The input file was deleted, or its time was over, before all of it was read.',
      },
      too_many: {
        code: 'too_many_lines',
        message: `The input has more than ${this.config.batchMaxLines} requests, which is the limit here.`,
      },
      too_late: {
        code: 'batch_expired',
        message: 'The completion window was over before all of the input was read.',
      },
    };
  }

  /** Why a batch whose input came to this must not run; null if it may. */
  problemOf(batch: HeldBatch, found: ReadSoFar | ReadProblem): BatchProblem | null {
    if (typeof found === 'string') return this.problems[found];
    if (found.jobs + found.rejects === 0) {
      return { code: 'empty_batch', message: 'The input has no requests.' };
    }
    const mayRun = found.rejects === 0 || (batch.accept_invalid_lines && found.jobs > 0);
    return mayRun ? null : { code: null, message: null };
  }

  /** Ends a batch of which nothing has run. */
  async fail(batch: HeldBatch, lease: BatchLease, { code, message }: BatchProblem): Promise<void> {
    await this.write(batch, lease, 'failed', async (trx) => {
      await this.steps.set(trx, batch.id, { stop_code: code, stop_message: message });
    });
  }

  /** Ends a batch whose lines have all ended and whose files are written. */
  async end(batch: HeldBatch, lease: BatchLease): Promise<void> {
    await this.output.store(batch);
    const isDone = await this.write(batch, lease, await this.statusOf(batch), (trx) =>
      this.output.publish(trx, batch),
    );
    if (isDone) await this.output.tidy(batch);
  }

  private async statusOf(batch: HeldBatch): Promise<EndStatus> {
    if (batch.status === 'cancelling') return 'cancelled';
    if (batch.stop_code !== null) return 'failed';
    return (await this.jobs.tally(batch.id)).expired > 0 ? 'expired' : 'completed';
  }

  private async write(
    batch: HeldBatch,
    lease: BatchLease,
    status: EndStatus,
    alsoWrite: (trx: DatabaseOrTransaction) => Promise<void>,
  ): Promise<boolean> {
    const progress = (await this.jobs.progress([batch.id])).get(batch.id);
    let bells: Bell[] = [];
    const isDone = await this.steps.within(lease, batch.status, async (trx) => {
      await alsoWrite(trx);
      await this.steps.end(trx, batch.id, status);
      await this.jobs.close(trx, batch.id);
      bells = await this.webhooks.recordEvents(trx, [
        {
          projectId: batch.project_id,
          type: EVENTS[status],
          jobId: null,
          batchId: batch.id,
          url: batch.webhook_url,
          isWatched: true,
          // Whoever ends the batch has claimed it last.
          data: { ...eventOf(batch, status, progress), version: lease.token },
        },
      ]);
    });
    if (isDone) {
      this.metrics.batchesEnded.inc({ status });
      await this.webhooks.ring(bells);
    }
    return isDone;
  }
}
