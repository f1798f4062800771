import { Controller, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { ApiError } from '../http/api-error.js';
import { type ListReply, listReply } from '../http/paging.js';
import { toPublicId, toUuid } from '../storage/ids.js';
import type { DeliveryRecord, TryRecord } from './delivery.js';
import {
  WebhookDeliveryDto,
  WebhookDeliveryListDto,
  WebhookSecretDto,
  type WebhookTryDto,
} from './webhooks.dto.js';
import { WebhooksService } from './webhooks.service.js';

@ApiTags('webhooks')
@Controller('v1')
export class WebhooksController {
  constructor(private readonly webhooks: WebhooksService) {}

  @Get('webhook_secret')
  @ApiOperation({ summary: "Read the secret that signs what goes to a job's own webhook_url" })
  @ApiOkResponse({ type: WebhookSecretDto })
  async secret(@Project() projectId: string): Promise<WebhookSecretDto> {
    return { object: 'webhook_secret', secret: await this.webhooks.defaultSecret(projectId) };
  }

  @Get('jobs/:id/deliveries')
  @ApiOperation({ summary: 'List who was told of a job, with every try' })
  @ApiOkResponse({ type: WebhookDeliveryListDto })
  async deliveries(
    @Project() projectId: string,
    @Param('id') id: string,
  ): Promise<ListReply<WebhookDeliveryDto>> {
    const jobId = toUuid('job', id);
    if (jobId === null) throw new ApiError('not_found', `There is no job ${id}.`, { param: 'id' });
    const deliveries = await this.webhooks.deliveriesOfJob(projectId, jobId);
    return listReply(deliveries.map(toDeliveryDto), false);
  }
}

function toDeliveryDto(record: DeliveryRecord): WebhookDeliveryDto {
  return {
    id: toPublicId('whd', record.id),
    object: 'webhook_delivery',
    event_id: toPublicId('evt', record.eventId),
    event_type: record.eventType,
    job_id: record.jobId === null ? null : toPublicId('job', record.jobId),
    url: record.url,
    status: record.status,
    try_count: record.tryCount,
    created_at: toUnixS(record.createdAt),
    next_try_at: record.status === 'pending' ? toUnixS(record.dueAt) : null,
    finished_at: record.finishedAt === null ? null : toUnixS(record.finishedAt),
    last_error: record.lastError,
    tries: record.tries.map(toTryDto),
  };
}

function toTryDto(record: TryRecord): WebhookTryDto {
  return {
    index: record.index,
    started_at_ms: record.startedAt.getTime(),
    duration_ms: record.durationMs,
    http_status: record.httpStatus,
    error: record.error,
    response_text: record.responseText,
  };
}

function toUnixS(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
