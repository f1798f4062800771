import type { DeliveryStatus } from '../storage/webhook-tables.js';

/** The secret that signs what goes to a job's or batch's own `webhook_url`. */
export class WebhookSecretDto {
  object: 'webhook_secret';
  /** `whsec_` and base64, as every Standard Webhooks library takes it. */
  secret: string;
}

/** One HTTP call of a delivery. */
export class WebhookTryDto {
  /** 0 for the first. */
  index: number;
  /** Unix milliseconds. */
  started_at_ms: number;
  /** Null while it runs, or if it was cut off. */
  duration_ms: number | null;
  /** Null if no answer came. */
  http_status: number | null;
  /** Why it was no success; `interrupted` if the worker went away meanwhile. */
  error: string | null;
  /** The start of what the receiver answered, at most 1 KiB. */
  response_text: string | null;
}

/** The sending of one event to one receiver. */
export class WebhookDeliveryDto {
  /** `whd_…` */
  id: string;
  object: 'webhook_delivery';
  /** `evt_…`: the `webhook-id` that the receiver sees on every try. */
  event_id: string;
  event_type: string;
  job_id: string | null;
  batch_id: string | null;
  /** `whe_…`; null if it goes to the URL that the job or batch names. */
  webhook_endpoint_id: string | null;
  url: string;
  status: DeliveryStatus;
  try_count: number;
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds; null when it has ended. */
  next_try_at: number | null;
  /** Unix seconds; null until it has ended. */
  finished_at: number | null;
  /** Why the last try was no success. */
  last_error: string | null;
  /** Oldest first. */
  tries: WebhookTryDto[];
}

/** A page of deliveries, the newest first unless asked otherwise. */
export class WebhookDeliveryListDto {
  object: 'list';
  data: WebhookDeliveryDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}
