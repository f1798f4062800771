import { setMaxListeners } from 'node:events';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { EgressResult } from '../egress/exchange.js';
import { ApiError } from '../http/api-error.js';
import { afterUuid, type Paging } from '../http/paging.js';
import { newUuid, toPublicId, toUuid } from '../storage/ids.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import type { ClaimedDelivery } from './delivery.js';
import { DeliveryCaller } from './delivery-caller.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import type { CreateWebhookEndpointDto, UpdateWebhookEndpointDto } from './endpoint.dto.js';
import { EndpointHealth } from './endpoint-health.js';
import { type DeliveryCounts, type EndpointRow, EndpointsRepository } from './endpoints.repository.js';
import type { EventType } from './event.js';
import { sampleOf } from './sample.js';
import { SecretsRepository } from './secrets.repository.js';
import { SecretsService } from './secrets.service.js';
import { hintOf, newSecret } from './sign.js';
import { WebhooksService } from './webhooks.service.js';

/** More receivers than a project needs; each is looked at with each event. */
const MOST_ENDPOINTS = 50;

/** An endpoint, and how its last deliveries went. */
export interface WholeEndpoint {
  readonly row: EndpointRow;
  readonly counts: DeliveryCounts | undefined;
}

/** An endpoint with a secret that has never been shown. */
export interface EndpointWithSecret extends WholeEndpoint {
  readonly secret: string;
}

/** What the doors of endpoints do. All throw `not_found` for an endpoint that the project does not have. */
@Injectable()
export class EndpointsService implements OnModuleDestroy {
  private readonly stopping = new AbortController();

  constructor(
    private readonly endpoints: EndpointsRepository,
    private readonly steps: DeliveryStepsRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly secrets: SecretsService,
    private readonly keptSecrets: SecretsRepository,
    private readonly health: EndpointHealth,
    private readonly caller: DeliveryCaller,
    private readonly webhooks: WebhooksService,
  ) {
    // Each test that is under way listens.
    setMaxListeners(0, this.stopping.signal);
  }

  /** Throws `url_not_allowed` for a URL that webhooks must not go to. */
  async create(projectId: string, dto: CreateWebhookEndpointDto): Promise<EndpointWithSecret> {
    await this.webhooks.checkUrl(dto.url, 'url');
    const id = newUuid();
    const secret = newSecret();
    const row = await this.endpoints.insert(
      {
        id,
        projectId,
        name: dto.name,
        url: dto.url,
        eventTypes: distinct(dto.event_types),
        includeResult: dto.include_result ?? false,
        secret: this.secrets.sealed(secret, { projectId, endpointId: id }),
        secretHint: hintOf(secret),
      },
      MOST_ENDPOINTS,
    );
    if (row) return { row, counts: undefined, secret };
    throw new ApiError(
      'too_many_endpoints',
      `The project has ${MOST_ENDPOINTS} webhook endpoints, which is the limit. Delete one first.`,
    );
  }

  async get(projectId: string, endpointId: string): Promise<WholeEndpoint> {
    return this.whole(endpointId, await this.endpoints.find(projectId, endpointId));
  }

  /** One page, and whether there are more. */
  async list(projectId: string, paging: Paging): Promise<{ endpoints: WholeEndpoint[]; hasMore: boolean }> {
    const page = { limit: paging.limit + 1, after: afterUuid(paging, 'whe'), order: paging.order };
    const rows = await this.endpoints.list(projectId, page);
    const shown = rows.slice(0, paging.limit);
    const counts = await this.endpoints.counts(shown.map((row) => row.id));
    return {
      endpoints: shown.map((row) => ({ row, counts: counts.find((each) => each.endpointId === row.id) })),
      hasMore: rows.length > paging.limit,
    };
  }

  /** Throws `url_not_allowed` for a URL that webhooks must not go to. What waits goes to the new URL. */
  async update(projectId: string, endpointId: string, dto: UpdateWebhookEndpointDto): Promise<WholeEndpoint> {
    if (dto.url != null) await this.webhooks.checkUrl(dto.url, 'url');
    const changes = {
      ...(dto.name != null && { name: dto.name }),
      ...(dto.url != null && { url: dto.url }),
      ...(dto.event_types && { eventTypes: distinct(dto.event_types) }),
      ...(dto.include_result != null && { includeResult: dto.include_result }),
    };
    return this.whole(endpointId, await this.endpoints.update(projectId, endpointId, changes));
  }

  /** What waits for it is given up. */
  async delete(projectId: string, endpointId: string): Promise<void> {
    if (!(await this.endpoints.delete(projectId, endpointId))) throw unknownEndpoint(endpointId);
  }

  /** Gives the endpoint a new secret; the one before signs beside it for so long. */
  async rotateSecret(
    projectId: string,
    endpointId: string,
    graceSeconds: number,
  ): Promise<EndpointWithSecret> {
    const owner = { projectId, endpointId };
    const secret = newSecret();
    const row = await this.keptSecrets.transaction(async (trx) => {
      const sealed = this.secrets.sealed(secret, owner);
      const replaced = await this.endpoints.replaceSecret(trx, owner, sealed, hintOf(secret));
      if (!replaced) return undefined;
      await this.keptSecrets.retire(trx, owner, replaced.before, graceSeconds);
      return replaced.row;
    });
    return { ...(await this.whole(endpointId, row)), secret };
  }

  async enable(projectId: string, endpointId: string): Promise<WholeEndpoint> {
    return this.whole(endpointId, await this.endpoints.enable(projectId, endpointId));
  }

  /** What waits for it is given up. One that is disabled stays so, for the reason that it has. */
  async disable(projectId: string, endpointId: string): Promise<WholeEndpoint> {
    await this.get(projectId, endpointId);
    await this.health.disable(endpointId, 'request');
    return this.get(projectId, endpointId);
  }

  /** Sends a sample now, once; answers the status. Throws `receiver_unreachable` if no answer came. */
  async test(projectId: string, endpointId: string, type: EventType): Promise<number> {
    const { row } = await this.get(projectId, endpointId);
    const to = { id: row.id, projectId, url: row.url };
    const delivery = await this.steps.insertSample(to, type, sampleOf(type));
    if (!delivery) {
      throw new ApiError(
        'receiver_busy',
        'There are as many calls to this endpoint as there may be at once.',
      );
    }
    const answer = await this.tryOnce(delivery);
    if (answer?.ok) return answer.status;
    const why = answer === null ? 'it took too long' : `${answer.kind}: ${answer.message}`;
    throw new ApiError('receiver_unreachable', `${row.url} gave no answer to the test: ${why}`);
  }

  /** Has all that failed in a span of time (Unix seconds) sent anew; answers how many deliveries that are. */
  async recover(
    projectId: string,
    endpointId: string,
    sinceS: number,
    untilS: number | null,
  ): Promise<number> {
    const { row } = await this.get(projectId, endpointId);
    if (untilS !== null && untilS < sinceS) {
      throw new ApiError('invalid_value', 'until must not be before since.', { param: 'until' });
    }
    if (row.disabled_at !== null) throw switchedOff(endpointId);
    // The sweeps ring them, a lane's width at a time.
    return this.deliveries.recover(endpointId, sinceS, untilS);
  }

  onModuleDestroy(): void {
    this.stopping.abort();
  }

  private async tryOnce(delivery: ClaimedDelivery): Promise<EgressResult | null> {
    try {
      return await this.caller.deliver(delivery, this.stopping.signal);
    } finally {
      await this.webhooks.ring(await this.steps.ringNext(delivery.lane));
    }
  }

  private async whole(endpointId: string, row: EndpointRow | undefined): Promise<WholeEndpoint> {
    if (!row) throw unknownEndpoint(endpointId);
    return { row, counts: (await this.endpoints.counts([row.id]))[0] };
  }
}

/** The uuid in a path's endpoint id. Throws `not_found`: what is no id names no endpoint. */
export function endpointUuid(id: string): string {
  const uuid = toUuid('whe', id);
  if (uuid === null) throw notFound(id);
  return uuid;
}

/** Nothing is sent to an endpoint that is switched off. */
export function switchedOff(endpointId: string): ApiError {
  return new ApiError(
    'endpoint_disabled',
    `The endpoint ${toPublicId('whe', endpointId)} is disabled: enable it first.`,
  );
}

function unknownEndpoint(endpointId: string): ApiError {
  return notFound(toPublicId('whe', endpointId));
}

function notFound(id: string): ApiError {
  return new ApiError('not_found', `There is no webhook endpoint '${id.slice(0, 64)}'.`, { param: 'id' });
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
