import { setMaxListeners } from 'node:events';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import type { Listener } from '../queue/listener.js';
import { QueueService } from '../queue/queue.service.js';
import { Turns } from '../queue/turns.js';
import { toPublicId } from '../storage/ids.js';
import { DeliveryCaller } from './delivery-caller.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import { WebhooksService } from './webhooks.service.js';

/** Tries wait for others most of the time, so many fit: several times what one project may have under way. */
const CONCURRENCY = 1_000;

/** Those who claim for one receiver wait for each other, each on a connection of the pool: most of that is for others. */
const CLAIMS_AT_ONCE = 6;

/** Hears `deliver-webhook`: claims a delivery, has it tried, and rings who waits behind it. */
@Injectable()
export class WebhooksProcessor implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Webhooks');
  private readonly stopping = new AbortController();
  private readonly listener: Listener;
  private readonly claims = new Turns(CLAIMS_AT_ONCE, CONCURRENCY);

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly steps: DeliveryStepsRepository,
    private readonly caller: DeliveryCaller,
    private readonly webhooks: WebhooksService,
    queue: QueueService,
  ) {
    // Each call that is under way listens.
    setMaxListeners(CONCURRENCY, this.stopping.signal);
    this.listener = queue.listen('deliver-webhook', {
      concurrency: CONCURRENCY,
      handle: (id) => this.process(id),
    });
  }

  onApplicationBootstrap(): void {
    this.listener.start();
  }

  /** Gives the tries that are under way the grace, then cuts them off and makes them due again. */
  async onModuleDestroy(): Promise<void> {
    const timer = setTimeout(() => this.stopping.abort(), this.config.shutdownGraceMs);
    await this.listener.close();
    clearTimeout(timer);
  }

  private async process(deliveryId: string): Promise<void> {
    try {
      await this.handle(deliveryId);
    } catch (error) {
      // An outage or a defect; the lease runs out and the delivery is due again.
      const id = toPublicId('whd', deliveryId);
      this.logger.error(error instanceof Error ? error : String(error), `Delivery ${id} could not be tried`);
    }
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
