import { toPublicId } from '../storage/ids.js';
import type { DeliveryRecord, TryRecord } from './delivery.js';
import { toUnixS, toUnixSOrNull } from './endpoint-reply.js';
import type { WebhookDeliveryDto, WebhookTryDto } from './webhooks.dto.js';

/** A delivery as it goes out. */
export function toDelivery(record: DeliveryRecord): WebhookDeliveryDto {
  return {
    id: toPublicId('whd', record.id),
    object: 'webhook_delivery',
    event_id: toPublicId('evt', record.eventId),
    event_type: record.eventType,
    job_id: record.jobId === null ? null : toPublicId('job', record.jobId),
    batch_id: record.batchId === null ? null : toPublicId('batch', record.batchId),
    webhook_endpoint_id: record.endpointId === null ? null : toPublicId('whe', record.endpointId),
    url: record.url,
    status: record.status,
    try_count: record.tryCount,
    created_at: toUnixS(record.createdAt),
    next_try_at: record.status === 'pending' ? toUnixS(record.dueAt) : null,
    finished_at: toUnixSOrNull(record.finishedAt),
    last_error: record.lastError,
    tries: record.tries.map(toTry),
  };
}

function toTry(record: TryRecord): WebhookTryDto {
  return {
    index: record.index,
    started_at_ms: record.startedAt.getTime(),
    duration_ms: record.durationMs,
    http_status: record.httpStatus,
    error: record.error,
    response_text: record.responseText,
  };
}
