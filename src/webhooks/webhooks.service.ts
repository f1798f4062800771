/**
 * Webhooks: tells a caller's server what happened, signed, until it is heard (Standard Webhooks). Events are written in
 * the transaction in which they happen; nothing is sent that is not written down first, and no answer unless a receiver asks.
 */
import { Injectable, Logger } from '@nestjs/common';
import { EgressService } from '../egress/egress.service.js';
import { ApiError } from '../http/api-error.js';
import { QueueService } from '../queue/queue.service.js';
import type { Bell } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import type { NewEvent } from './event.js';
import { EventsRepository } from './events.repository.js';

/** What other rooms ask of this one. */
@Injectable()
export class WebhooksService {
  private readonly logger = new Logger('Webhooks');

  constructor(
    private readonly events: EventsRepository,
    private readonly steps: DeliveryStepsRepository,
    private readonly queue: QueueService,
    private readonly egress: EgressService,
  ) {}

  /**
   * Writes events and whom to tell, inside the transaction in which they happen. Only events that somebody wants to hear of are
   * kept. Give the bells to {@link ring} after the commit.
   */
  async recordEvents(trx: DatabaseOrTransaction, events: readonly NewEvent[]): Promise<Bell[]> {
    return this.events.insert(trx, events);
  }

  /**
   * Has deliveries tried now. Best effort, and never throws: what can not be rung is found by a sweep, within a second if
   * only the queue is away.
   */
  async ring(bells: readonly Bell[]): Promise<void> {
    if (await this.queue.ring('deliver-webhook', bells)) return;
    await this.steps.forgetBells(bells).catch((error: unknown) => {
      this.logger.warn(
        `${bells.length} webhook deliveries wait for their bell to count as lost: ${String(error)}`,
      );
    });
  }

  /** Throws `url_not_allowed` if webhooks must not go to this URL, which the caller gave as `param`. */
  async checkUrl(url: string, param = 'webhook_url'): Promise<void> {
    const refusal = await this.egress.checkUrl(url);
    if (refusal === null) return;
    throw new ApiError('url_not_allowed', `${param} can not be used. ${refusal}`, { param });
  }
}
