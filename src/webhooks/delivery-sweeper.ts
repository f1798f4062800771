import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { QueueEpoch } from '../queue/queue-epoch.js';
import { SweepLoop } from '../queue/sweep-loop.js';
import { RENEWAL_GRACE_MS } from '../storage/lease.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import { WebhooksService } from './webhooks.service.js';

const RUNG_AT_ONCE = 500;

/**
 * Finds in Postgres what no bell will bring about: tries that have become due, bells that were lost, workers that are
 * gone. Several processes may sweep at once; each delivery is found by one.
 */
@Injectable()
export class DeliverySweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Webhooks');
  private mayFreeFromMs = 0;
  private readonly noticeLoss: () => Promise<boolean>;
  private readonly loop = new SweepLoop(() => this.sweep(), this.logger);

  constructor(
    private readonly steps: DeliveryStepsRepository,
    private readonly webhooks: WebhooksService,
    queueEpoch: QueueEpoch,
  ) {
    this.noticeLoss = queueEpoch.watch((epoch) => steps.noteEpoch(epoch));
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }

  /** One sweep. Throws when the database is away. */
  async sweep(): Promise<void> {
    try {
      if (performance.now() >= this.mayFreeFromMs) await this.free();
      await this.noticeLoss();
      await this.webhooks.ring(await this.steps.ringDue(RUNG_AT_ONCE));
    } catch (error) {
      this.mayFreeFromMs = performance.now() + RENEWAL_GRACE_MS;
      throw error;
    }
  }

  private async free(): Promise<void> {
    const freed = await this.steps.freeExpired();
    if (freed > 0) this.logger.warn(`${freed} webhook deliveries were cut off by a worker that is gone`);
  }
}
