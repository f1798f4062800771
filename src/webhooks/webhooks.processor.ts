import { setMaxListeners } from 'node:events';
import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Inject, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Job } from 'bullmq';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { QueueService } from '../queue/queue.service.js';
import type { MessageData } from '../queue/queues.js';
import { Turns } from '../queue/turns.js';
import { WORKER_OPTIONS } from '../queue/worker-options.js';
import { toPublicId } from '../storage/ids.js';
import { DeliveryCaller } from './delivery-caller.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import { WebhooksService } from './webhooks.service.js';

/** Tries wait for others most of the time, so many fit: several times what one project may have under way. */
const CONCURRENCY = 1_000;

/** Those who claim for one receiver wait for each other, each on a connection of the pool: most of that is for others. */
const CLAIMS_AT_ONCE = 6;

/** Hears `deliver-webhook`: claims a delivery, has it tried, and rings who waits behind it. */
@Processor('deliver-webhook', WORKER_OPTIONS)
export class WebhooksProcessor extends WorkerHost implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Webhooks');
  private readonly stopping = new AbortController();
  private readonly underWay = new Set<Promise<void>>();
  private readonly claims = new Turns(CLAIMS_AT_ONCE, CONCURRENCY);

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly steps: DeliveryStepsRepository,
    private readonly caller: DeliveryCaller,
    private readonly webhooks: WebhooksService,
    private readonly queue: QueueService,
  ) {
    super();
    // Each call that is under way listens.
    setMaxListeners(CONCURRENCY, this.stopping.signal);
  }

  override async process({ data }: Job<MessageData>): Promise<void> {
    const work = this.handle(data.id);
    this.underWay.add(work);
    try {
      await work;
    } finally {
      this.underWay.delete(work);
    }
  }

  onApplicationBootstrap(): void {
    this.worker.concurrency = CONCURRENCY;
    this.worker.run().catch((error: unknown) => this.logger.error(`The worker ended: ${String(error)}`));
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.logger.warn(`The queue deliver-webhook: ${error.message}`);
  }

  /** An outage or a defect; the lease runs out and the delivery is due again. */
  @OnWorkerEvent('failed')
  onFailed(message: Job<MessageData> | undefined, error: Error): void {
    const id = message ? toPublicId('whd', message.data.id) : 'unknown';
    this.logger.error(`Delivery ${id} could not be tried: ${error.message}`, error.stack);
  }

  /** Gives the tries that are under way the grace, then cuts them off and makes them due again. */
  async onModuleDestroy(): Promise<void> {
    const timer = setTimeout(() => this.stopping.abort(), this.config.shutdownGraceMs);
    await this.queue.closeWorker(this.worker, Promise.allSettled(this.underWay));
    clearTimeout(timer);
  }

  private async handle(deliveryId: string): Promise<void> {
    const delivery = await this.claims.take(() => this.steps.claim(deliveryId));
    if (!delivery) return;
    try {
      await this.caller.deliver(delivery, this.stopping.signal);
    } finally {
      // Those who were turned away are not rung again by themselves: who makes room does it.
      await this.webhooks.ring(await this.steps.ringNext(delivery.lane));
    }
  }
}
