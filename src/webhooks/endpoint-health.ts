import { Injectable, Logger } from '@nestjs/common';
import type { Bell } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { toPublicId } from '../storage/ids.js';
import type { DisabledReason } from '../storage/webhook-tables.js';
import { type DisabledEndpoint, EndpointHealthRepository } from './endpoint-health.repository.js';
import { WebhooksService } from './webhooks.service.js';

/** How endpoints fare, and the end of those that fare badly: it is told to the project's other endpoints. */
@Injectable()
export class EndpointHealth {
  private readonly logger = new Logger('Webhooks');

  constructor(
    private readonly repository: EndpointHealthRepository,
    private readonly webhooks: WebhooksService,
  ) {}

  /** A delivery arrived. */
  async succeeded(endpointId: string): Promise<void> {
    await this.repository.succeeded(endpointId);
  }

  /** A try failed. An endpoint that is gone, or that has failed for days, is disabled. */
  async failed(endpointId: string, error: string, isGone: boolean): Promise<void> {
    const isTooLong = await this.repository.failed(endpointId, error);
    if (isGone || isTooLong) await this.disable(endpointId, isGone ? 'gone' : 'failing');
  }

  /** Switches an endpoint off, gives up what waits for it, and tells of it. */
  async disable(endpointId: string, reason: DisabledReason): Promise<void> {
    let bells: Bell[] = [];
    await this.repository.disable(endpointId, reason, async (trx, endpoint) => {
      bells = await this.tell(trx, endpoint, reason);
      this.logger.warn(`The endpoint ${toPublicId('whe', endpointId)} is disabled: ${reason}`);
    });
    await this.webhooks.ring(bells);
  }

  private async tell(
    trx: DatabaseOrTransaction,
    { id, projectId, name, url, version }: DisabledEndpoint,
    reason: DisabledReason,
  ): Promise<Bell[]> {
    const data = {
      id: toPublicId('whe', id),
      object: 'webhook_endpoint',
      status: 'disabled',
      name,
      url,
      disabled_reason: reason,
      version,
    };
    const event = { projectId, type: 'webhook_endpoint.disabled', jobId: null, batchId: null } as const;
    return this.webhooks.recordEvents(trx, [{ ...event, data, url: null, isWatched: true }]);
  }
}
