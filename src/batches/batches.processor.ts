import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Listener } from '../queue/listener.js';
import { QueueService } from '../queue/queue.service.js';
import { BatchAdvancer } from './batch-advancer.js';

/** How many batches one process advances at once: one whose input is read takes its place for some seconds. */
const CONCURRENCY = 8;

/** Hears `advance-batch`. */
@Injectable()
export class BatchesProcessor implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('BatchesProcessor');
  private readonly stopping = new AbortController();
  private readonly listener: Listener;

  constructor(
    private readonly advancer: BatchAdvancer,
    queue: QueueService,
  ) {
    this.listener = queue.listen('advance-batch', {
      concurrency: CONCURRENCY,
      handle: (id) => this.advance(id),
    });
  }

  onApplicationBootstrap(): void {
    this.listener.start();
  }

  /** Lets each step go on to where it can be taken up again, which is soon. */
  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.listener.close();
  }

  /** The message is only a bell: what there is to do stands in Postgres. */
  private async advance(batchId: string): Promise<void> {
    if (this.stopping.signal.aborted) return;
    try {
      await this.advancer.advance(batchId, this.stopping.signal);
    } catch (error) {
      // Nothing is lost: the batch is due again, and is taken up where it was left.
      this.logger.error(error instanceof Error ? error : String(error), 'A step of a batch was cut off');
    }
  }
}
