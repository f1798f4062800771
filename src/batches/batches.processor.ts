import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Job } from 'bullmq';
import { QueueService } from '../queue/queue.service.js';
import type { MessageData } from '../queue/queues.js';
import { WORKER_OPTIONS } from '../queue/worker-options.js';
import { BatchAdvancer } from './batch-advancer.js';

/** How many batches one process advances at once: one whose input is read takes its place for some seconds. */
const CONCURRENCY = 8;

/** Hears `advance-batch`. */
@Processor('advance-batch', WORKER_OPTIONS)
export class BatchesProcessor extends WorkerHost implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('BatchesProcessor');
  private readonly stopping = new AbortController();
  private readonly running = new Set<Promise<void>>();

  constructor(
    private readonly advancer: BatchAdvancer,
    private readonly queue: QueueService,
  ) {
    super();
  }

  onApplicationBootstrap(): void {
    this.worker.concurrency = CONCURRENCY;
    this.worker.run().catch((error: unknown) => this.logger.error(`The worker ended: ${String(error)}`));
  }

  /** The message is only a bell: what there is to do stands in Postgres. */
  async process({ data }: Job<MessageData>): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const step = this.advance(data.id);
    this.running.add(step);
    await step;
    this.running.delete(step);
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.logger.warn(`advance-batch: ${error.message}`);
  }

  /** Lets each step go on to where it can be taken up again, which is soon. */
  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.queue.closeWorker(this.worker, Promise.all(this.running));
  }

  private async advance(batchId: string): Promise<void> {
    try {
      await this.advancer.advance(batchId, this.stopping.signal);
    } catch (error) {
      // Nothing is lost: the batch is due again, and is taken up where it was left.
      this.logger.error(error instanceof Error ? error : String(error), 'A step of a batch was cut off');
    }
  }
}
