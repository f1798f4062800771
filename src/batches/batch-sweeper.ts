import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { QueueService } from '../queue/queue.service.js';
import { SweepLoop } from '../queue/sweep-loop.js';
import { BatchStepsRepository } from './batch-steps.repository.js';

const MOST_AT_ONCE = 100;

/** Calls, each second, whoever advances the batches that are due: those whose bell was lost, or whose worker is gone. */
@Injectable()
export class BatchSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly loop = new SweepLoop(() => this.sweep(), new Logger('BatchSweeper'));

  constructor(
    private readonly steps: BatchStepsRepository,
    private readonly queue: QueueService,
  ) {}

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }

  private async sweep(): Promise<void> {
    const due = await this.steps.due(MOST_AT_ONCE);
    const dispatchNo = Date.now();
    await this.queue.ring(
      'advance-batch',
      due.map((id) => ({ id, dispatchNo })),
    );
  }
}
