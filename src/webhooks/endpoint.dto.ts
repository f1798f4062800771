import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  MinLength,
} from 'class-validator';
import { IsStorable } from '../http/storable.js';
import type { DisabledReason } from '../storage/webhook-tables.js';
import { EVENT_TYPES, type EventType } from './event.js';
import { GRACE } from './grace.js';

const LONGEST_NAME = 256;
const LONGEST_URL = 2048;
const LATEST_UNIX_SECONDS = 9_999_999_999;

/** A receiver to be registered: OpenAI's fields, and what Baton adds. */
export class CreateWebhookEndpointDto {
  @IsString()
  @MinLength(1)
  @MaxLength(LONGEST_NAME)
  @IsStorable()
  name: string;

  /** `https` on a public address, or in a range of `EGRESS_ALLOW_CIDRS`. */
  @IsString()
  @MaxLength(LONGEST_URL)
  url: string;

  /** What it is told of. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(EVENT_TYPES.length)
  @IsIn(EVENT_TYPES, { each: true })
  event_types: EventType[];

  /** Whether a job's answer is sent along as `data.result`, up to 256 KiB; what is larger is named in `data.result_url`. */
  @IsOptional()
  @IsBoolean()
  include_result?: boolean;
}

/** What of an endpoint is changed; what is left out stays. */
export class UpdateWebhookEndpointDto {
  @IsOptional()
  @IsString()
  @MinLength(1)
  @MaxLength(LONGEST_NAME)
  @IsStorable()
  name?: string;

  @IsOptional()
  @IsString()
  @MaxLength(LONGEST_URL)
  url?: string;

  /** All that it is told of from now on. */
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(EVENT_TYPES.length)
  @IsIn(EVENT_TYPES, { each: true })
  event_types?: EventType[];

  @IsOptional()
  @IsBoolean()
  include_result?: boolean;
}

/** How long the secret that is replaced goes on signing beside the new one. */
export class RotateSecretDto {
  /** OpenAI's word for it: `true` is 24 hours, `false` not at all. */
  @IsOptional()
  @IsBoolean()
  keep_old_secret_active_for_24_hours?: boolean;

  /** Baton's: 0 to 604800 seconds; 86400 if neither is given. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(GRACE.longest)
  grace_seconds?: number;
}

/** Which event a receiver is tried with. */
export class TestWebhookEndpointDto {
  @IsIn(EVENT_TYPES)
  event_type: EventType;
}

/** Of which time the failed deliveries are sent anew. */
export class RecoverWebhookEndpointDto {
  /** Unix seconds. */
  @IsInt()
  @Min(0)
  @Max(LATEST_UNIX_SECONDS)
  since: number;

  /** Unix seconds; now if it is left out. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(LATEST_UNIX_SECONDS)
  until?: number;
}

/** How an endpoint fares. */
export class WebhookEndpointHealthDto {
  /** Of those among its last 1,000 deliveries that have ended, the share that arrived: 0 to 1; null if none has. */
  success_rate: number | null;
  /** How many of its last 1,000 deliveries have not ended. */
  pending: number;
  /** Unix seconds. */
  last_success_at: number | null;
  /** Unix seconds. */
  last_failure_at: number | null;
  last_error: string | null;
  /** Unix seconds of the first failure that no success has followed. After five days of that it is disabled. */
  failing_since: number | null;
}

/** A registered receiver. */
export class WebhookEndpointDto {
  /** `whe_…` */
  id: string;
  object: 'webhook_endpoint';
  name: string;
  url: string;
  event_types: string[];
  /** The last letters of the secret. */
  signing_secret_hint: string | null;
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds. */
  updated_at: number;
  include_result: boolean;
  status: 'enabled' | 'disabled';
  /** Unix seconds. */
  disabled_at: number | null;
  /** `gone`: it answered 410; `failing`: nothing but failure for five days; `request`: its project asked for it. */
  disabled_reason: DisabledReason | null;
  health: WebhookEndpointHealthDto;
}

/** As {@link WebhookEndpointDto}, with the secret, which is shown this once. */
export class WebhookEndpointWithSecretDto extends WebhookEndpointDto {
  /** `whsec_` and base64, as every Standard Webhooks library takes it. */
  signing_secret: string;
}

export class WebhookEndpointListDto {
  object: 'list';
  data: WebhookEndpointDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export class WebhookEndpointDeletedDto {
  id: string;
  object: 'webhook_endpoint.deleted';
  deleted: true;
}

/** What a receiver answered to a test. */
export class WebhookEndpointTestDto {
  object: 'webhook_endpoint.test';
  webhook_endpoint_id: string;
  event_type: string;
  success: true;
  /** Whatever it was: also 404 or 500. */
  status_code: number;
}

/** How many deliveries will be sent anew. */
export class WebhookEndpointRecoveryDto {
  object: 'webhook_endpoint.recovery';
  webhook_endpoint_id: string;
  recovered: number;
}

/** Everything that can be told. */
export class WebhookEventTypeListDto {
  object: 'list';
  data: string[];
}
