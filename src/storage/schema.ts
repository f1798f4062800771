import type { Generated } from 'kysely';
import type {
  BatchesTable,
  BatchRejectsTable,
  BatchRunsTable,
  BatchTalliesTable,
  BlobChunksTable,
  FilesTable,
} from './batch-tables.js';
import type { Created, Json } from './columns.js';
import type {
  WebhookDeliveriesTable,
  WebhookEndpointsTable,
  WebhookEventsTable,
  WebhookOldSecretsTable,
  WebhookTriesTable,
} from './webhook-tables.js';

/** The tables as kysely sees them. What each means is said in the migration that makes it. */
export interface Schema {
  installation: InstallationTable;
  queue_epochs: QueueEpochsTable;
  projects: ProjectsTable;
  policies: PoliciesTable;
  policy_versions: PolicyVersionsTable;
  chains: ChainsTable;
  jobs: JobsTable;
  job_requests: JobRequestsTable;
  job_responses: JobResponsesTable;
  attempts: AttemptsTable;
  idempotency_keys: IdempotencyKeysTable;
  webhook_events: WebhookEventsTable;
  webhook_deliveries: WebhookDeliveriesTable;
  webhook_tries: WebhookTriesTable;
  webhook_endpoints: WebhookEndpointsTable;
  webhook_old_secrets: WebhookOldSecretsTable;
  files: FilesTable;
  blob_chunks: BlobChunksTable;
  batches: BatchesTable;
  batch_rejects: BatchRejectsTable;
  batch_runs: BatchRunsTable;
  batch_tallies: BatchTalliesTable;
}

export interface InstallationTable {
  only_row: Generated<boolean>;
  id: string;
  created_at: Created;
}

export interface QueueEpochsTable {
  room: string;
  epoch: string;
}

export interface ProjectsTable {
  id: string;
  name: string;
  /** The sealed default webhook secret; null until it is first needed. */
  webhook_secret: Buffer | null;
  created_at: Created;
}

export interface PoliciesTable {
  project_id: string;
  name: string;
  version: number;
  source: 'api' | 'config';
  created_at: Created;
  deleted_at: Date | null;
}

export interface PolicyVersionsTable {
  project_id: string;
  name: string;
  version: number;
  body: Json<Record<string, unknown>>;
  created_at: Created;
}

export interface ChainsTable {
  id: string;
  project_id: string;
  digest: Buffer;
  body: Json<unknown>;
  created_at: Created;
}

export type JobStatus = 'queued' | 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'expired';

export interface JobsTable {
  id: string;
  project_id: string;
  status: Generated<JobStatus>;
  endpoint: string;
  model: string;
  policy_name: string | null;
  policy_version: number | null;
  chain_id: string;
  priority: number;
  metadata: Json<Record<string, string>>;
  webhook_url: string | null;
  batch_id: string | null;
  custom_id: string | null;
  retry_of: string | null;
  served_by: string | null;
  attempt_count: Generated<number>;
  fell_back: Generated<boolean>;
  error_code: string | null;
  error_message: string | null;
  response_status: number | null;
  response_request_id: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  total_tokens: number | null;
  cached_input_tokens: number | null;
  cache_write_tokens: number | null;
  reasoning_tokens: number | null;
  cost_micros: number | null;
  created_at: Created;
  started_at: Date | null;
  finished_at: Date | null;
  run_at: Date | null;
  due_at: Generated<Date>;
  expires_at: Date;
  waiting: Generated<boolean>;
  dispatch_no: Generated<number>;
  rung_at: Date | null;
  lease_token: Generated<number>;
  lease_until: Date | null;
  worker: string | null;
  crash_count: Generated<number>;
  step_order: number[] | null;
  order_reason: string | null;
  parked_on: string | null;
  woken: Generated<boolean>;
  line: number | null;
  same_as: string | null;
  request_bytes: Generated<number>;
  store: Generated<boolean>;
  forgotten_at: Date | null;
}

export interface JobRequestsTable {
  job_id: string;
  project_id: string;
  body: string;
  sha256: Buffer | null;
}

export interface JobResponsesTable {
  job_id: string;
  project_id: string;
  body: string;
  sha256: Buffer | null;
}

export interface AttemptsTable {
  id: string;
  job_id: string;
  project_id: string;
  index: number;
  round: number;
  step: number;
  model: string;
  provider: string;
  key_id: string | null;
  outcome: string | null;
  class: string | null;
  http_status: number | null;
  message: string | null;
  sent: boolean | null;
  retry_after_ms: number | null;
  decision: string | null;
  decision_reason: string | null;
  started_at: Created;
  ended_at: Date | null;
  input_tokens: number | null;
  output_tokens: number | null;
  total_tokens: number | null;
  cached_input_tokens: number | null;
  cache_write_tokens: number | null;
  reasoning_tokens: number | null;
  cost_micros: number | null;
  upstream_request_id: string | null;
  error_body: string | null;
  worker: string;
  lease_token: number;
}

export interface IdempotencyKeysTable {
  project_id: string;
  route: string;
  key: string;
  digest: Buffer;
  resource_id: string;
  created_at: Created;
}
