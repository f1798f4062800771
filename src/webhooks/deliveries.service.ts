import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import { afterUuid, type Paging } from '../http/paging.js';
import { toPublicId } from '../storage/ids.js';
import { DeliveriesRepository, type DeliveryFilters, type DeliveryOwner } from './deliveries.repository.js';
import type { DeliveryRecord } from './delivery.js';
import { WebhooksService } from './webhooks.service.js';

/** What the doors of deliveries do. */
@Injectable()
export class DeliveriesService {
  constructor(
    private readonly deliveries: DeliveriesRepository,
    private readonly webhooks: WebhooksService,
  ) {}

  /** One page with all tries, and whether there are more. Throws `not_found` if the owner is not of the project. */
  async list(
    projectId: string,
    owner: DeliveryOwner,
    filters: DeliveryFilters,
    paging: Paging,
  ): Promise<{ deliveries: DeliveryRecord[]; hasMore: boolean }> {
    if (!(await this.deliveries.isOwner(projectId, owner))) throw unknownOwner(owner);
    const page = { limit: paging.limit + 1, after: afterUuid(paging, 'whd'), order: paging.order };
    const found = await this.deliveries.list(owner, filters, page);
    return { deliveries: found.slice(0, paging.limit), hasMore: found.length > paging.limit };
  }

  /**
   * Sends a delivery anew, however it ended: the same event with the same id, now, and with all tries before it again. Throws
   * `endpoint_disabled` if nothing is sent to its endpoint, `not_found` if the project has no such delivery.
   */
  async resend(projectId: string, deliveryId: string): Promise<DeliveryRecord> {
    const resent = await this.deliveries.resend(projectId, deliveryId);
    if (resent === 'switched_off') {
      throw new ApiError(
        'endpoint_disabled',
        "The delivery's endpoint is disabled or deleted: nothing is sent to it.",
      );
    }
    const bell = await this.deliveries.bellOf(deliveryId);
    if (bell) await this.webhooks.ring([bell]);
    const record = await this.deliveries.find(projectId, deliveryId);
    if (!record) throw unknownDelivery(toPublicId('whd', deliveryId));
    return record;
  }
}

/** What a caller is told of an id that names no delivery of the project. */
export function unknownDelivery(id: string): ApiError {
  return new ApiError('not_found', `There is no webhook delivery '${id.slice(0, 64)}'.`, { param: 'id' });
}

function unknownOwner(owner: DeliveryOwner): ApiError {
  const [kind, id] =
    'jobId' in owner
      ? ['job', toPublicId('job', owner.jobId)]
      : 'batchId' in owner
        ? ['batch', toPublicId('batch', owner.batchId)]
        : ['webhook endpoint', toPublicId('whe', owner.endpointId)];
  return new ApiError('not_found', `There is no ${kind} ${id}.`, { param: 'id' });
}
