/** The tables of webhooks as kysely sees them. What each means is said in the migration that makes it. */
import type { Generated } from 'kysely';
import type { Created } from './columns.js';

/** Why nothing is sent to an endpoint: it said that it is gone, it failed for days, or its project asked for it. */
export type DisabledReason = 'gone' | 'failing' | 'request';

export interface WebhookEndpointsTable {
  id: string;
  project_id: string;
  name: string;
  url: string;
  event_types: string[];
  include_result: boolean;
  secret: Buffer;
  secret_hint: string;
  version: Generated<number>;
  disabled_at: Date | null;
  disabled_reason: DisabledReason | null;
  failing_since: Date | null;
  last_success_at: Date | null;
  last_failure_at: Date | null;
  last_error: string | null;
  created_at: Created;
  updated_at: Generated<Date>;
  deleted_at: Date | null;
}

export interface WebhookOldSecretsTable {
  id: string;
  project_id: string;
  endpoint_id: string | null;
  secret: Buffer;
  expires_at: Date;
}

export interface WebhookEventsTable {
  id: string;
  project_id: string;
  type: string;
  job_id: string | null;
  batch_id: string | null;
  /** JSON. */
  data: string;
  created_at: Created;
}

export type DeliveryStatus = 'pending' | 'succeeded' | 'failed';

export interface WebhookDeliveriesTable {
  id: string;
  project_id: string;
  event_id: string;
  job_id: string | null;
  batch_id: string | null;
  endpoint_id: string | null;
  url: string;
  lane: string;
  status: Generated<DeliveryStatus>;
  try_count: Generated<number>;
  first_try: Generated<number>;
  event_type: string;
  is_sample: Generated<boolean>;
  last_error: string | null;
  created_at: Created;
  due_at: Generated<Date>;
  finished_at: Date | null;
  dispatch_no: Generated<number>;
  rung_at: Date | null;
  lease_token: Generated<number>;
  lease_until: Date | null;
  carried_result: Generated<boolean>;
}

export interface WebhookTriesTable {
  delivery_id: string;
  project_id: string;
  index: number;
  started_at: Created;
  duration_ms: number | null;
  http_status: number | null;
  error: string | null;
  response_text: string | null;
}
