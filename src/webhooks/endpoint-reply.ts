import { toPublicId } from '../storage/ids.js';
import type { WebhookEndpointDto, WebhookEndpointWithSecretDto } from './endpoint.dto.js';
import type { EndpointWithSecret, WholeEndpoint } from './endpoints.service.js';

/** As the class says, without being one of its instances. */
type Endpoint = Pick<WebhookEndpointDto, keyof WebhookEndpointDto>;
type EndpointAndSecret = Pick<WebhookEndpointWithSecretDto, keyof WebhookEndpointWithSecretDto>;

/** An endpoint as it goes out. */
export function toEndpoint({ row, counts }: WholeEndpoint): Endpoint {
  const ended = (counts?.succeeded ?? 0) + (counts?.failed ?? 0);
  return {
    id: toPublicId('whe', row.id),
    object: 'webhook_endpoint',
    name: row.name,
    url: row.url,
    event_types: row.event_types,
    signing_secret_hint: row.secret_hint,
    created_at: toUnixS(row.created_at),
    updated_at: toUnixS(row.updated_at),
    include_result: row.include_result,
    status: row.disabled_at === null ? 'enabled' : 'disabled',
    disabled_at: toUnixSOrNull(row.disabled_at),
    disabled_reason: row.disabled_reason,
    health: {
      success_rate: ended === 0 ? null : (counts?.succeeded ?? 0) / ended,
      pending: counts?.pending ?? 0,
      last_success_at: toUnixSOrNull(row.last_success_at),
      last_failure_at: toUnixSOrNull(row.last_failure_at),
      last_error: row.last_error,
      failing_since: toUnixSOrNull(row.failing_since),
    },
  };
}

/** An endpoint with its new secret, which is shown this once. */
export function toEndpointWithSecret({ secret, ...endpoint }: EndpointWithSecret): EndpointAndSecret {
  return { ...toEndpoint(endpoint), signing_secret: secret };
}

/** Unix seconds. */
export function toUnixS(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** As {@link toUnixS}; null stays null. */
export function toUnixSOrNull(date: Date | null): number | null {
  return date === null ? null : toUnixS(date);
}
