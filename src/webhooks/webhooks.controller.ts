import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { ApiError } from '../http/api-error.js';
import { type ListReply, listReply } from '../http/paging.js';
import { checked } from '../http/validation.js';
import { type IdPrefix, toUuid } from '../storage/ids.js';
import { toDelivery } from './delivery-reply.js';
import { ApiDeliveriesQuery, parseDeliveriesQuery } from './deliveries-query.js';
import type { DeliveryOwner } from './deliveries.repository.js';
import { DeliveriesService, unknownDelivery } from './deliveries.service.js';
import { RotateSecretDto, WebhookEventTypeListDto } from './endpoint.dto.js';
import { EVENT_TYPES } from './event.js';
import { graceOf, SecretsService } from './secrets.service.js';
import { WebhookDeliveryDto, WebhookDeliveryListDto, WebhookSecretDto } from './webhooks.dto.js';

/** What is sent, to whom, and what signs it. */
@ApiTags('webhooks')
@Controller('v1')
export class WebhooksController {
  constructor(
    private readonly secrets: SecretsService,
    private readonly deliveries: DeliveriesService,
  ) {}

  @Get('webhook_secret')
  @ApiOperation({ summary: "Read the secret that signs what goes to a job's own webhook_url" })
  @ApiOkResponse({ type: WebhookSecretDto })
  async secret(@Project() projectId: string): Promise<WebhookSecretDto> {
    return { object: 'webhook_secret', secret: await this.secrets.ofProject(projectId) };
  }

  @Post('webhook_secret/rotate')
  @HttpCode(200)
  @ApiOperation({ summary: 'Replace that secret; the one before signs beside it for a while' })
  @ApiBody({ type: RotateSecretDto, required: false })
  @ApiOkResponse({ type: WebhookSecretDto })
  async rotate(@Project() projectId: string, @Body() body: unknown): Promise<WebhookSecretDto> {
    const grace = graceOf(checked(RotateSecretDto, body ?? {}));
    return { object: 'webhook_secret', secret: await this.secrets.rotateProject(projectId, grace) };
  }

  @Get('webhook_event_types')
  @ApiOperation({ summary: 'List everything that can be told' })
  @ApiOkResponse({ type: WebhookEventTypeListDto })
  eventTypes(): WebhookEventTypeListDto {
    return { object: 'list', data: [...EVENT_TYPES] };
  }

  @Get('jobs/:id/deliveries')
  @ApiOperation({ summary: 'List who was told of a job, with every try' })
  @ApiDeliveriesQuery()
  @ApiOkResponse({ type: WebhookDeliveryListDto })
  async ofJob(
    @Project() projectId: string,
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
  ) {
    return this.list(projectId, { jobId: uuidOf('job', id) }, query);
  }

  @Get('batches/:id/deliveries')
  @ApiOperation({ summary: 'List who was told of a batch, with every try' })
  @ApiDeliveriesQuery()
  @ApiOkResponse({ type: WebhookDeliveryListDto })
  async ofBatch(
    @Project() projectId: string,
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
  ) {
    return this.list(projectId, { batchId: uuidOf('batch', id) }, query);
  }

  @Get('webhook_endpoints/:id/deliveries')
  @ApiOperation({ summary: 'List what was sent to an endpoint, with every try' })
  @ApiDeliveriesQuery()
  @ApiOkResponse({ type: WebhookDeliveryListDto })
  async ofEndpoint(
    @Project() projectId: string,
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
  ) {
    return this.list(projectId, { endpointId: uuidOf('whe', id) }, query);
  }

  @Post('webhook_deliveries/:id/resend')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send a delivery anew: the same event, with the same id' })
  @ApiOkResponse({ type: WebhookDeliveryDto })
  async resend(@Project() projectId: string, @Param('id') id: string): Promise<WebhookDeliveryDto> {
    const uuid = toUuid('whd', id);
    if (uuid === null) throw unknownDelivery(id);
    return toDelivery(await this.deliveries.resend(projectId, uuid));
  }

  private async list(
    projectId: string,
    owner: DeliveryOwner,
    query: Readonly<Record<string, unknown>>,
  ): Promise<ListReply<WebhookDeliveryDto>> {
    const { filters, paging } = parseDeliveriesQuery(query);
    const { deliveries, hasMore } = await this.deliveries.list(projectId, owner, filters, paging);
    return listReply(deliveries.map(toDelivery), hasMore);
  }
}

const NAMES = { job: 'job', batch: 'batch', whe: 'webhook endpoint' } as const;

function uuidOf(prefix: keyof typeof NAMES & IdPrefix, id: string): string {
  const uuid = toUuid(prefix, id);
  if (uuid !== null) return uuid;
  throw new ApiError('not_found', `There is no ${NAMES[prefix]} '${id.slice(0, 64)}'.`, { param: 'id' });
}
