/** The tables of files and batches as kysely sees them. What each means is said in the migration that makes it. */
import type { Generated } from 'kysely';
import type { Created, Json } from './columns.js';

export type FileStatus = 'uploading' | 'draft' | 'ready' | 'deleted';

export interface FilesTable {
  id: string;
  project_id: string;
  purpose: string;
  filename: string;
  bytes: Generated<number>;
  status: FileStatus;
  kept_in: 'database' | 's3';
  created_at: Created;
  expires_at: Date | null;
}

export interface BlobChunksTable {
  blob_id: string;
  start: number;
  bytes: Buffer;
}

export type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

export interface BatchesTable {
  id: string;
  project_id: string;
  status: Generated<BatchStatus>;
  endpoint: string;
  completion_window: string;
  model: string | null;
  webhook_url: string | null;
  priority: number;
  metadata: Json<Record<string, string>>;
  input_file_id: string;
  output_file_id: string | null;
  error_file_id: string | null;
  output_expires_in: number;
  max_cost_micros: number | null;
  max_error_rate: number | null;
  accept_invalid_lines: boolean;
  dedupe: boolean;
  retry_of: string | null;
  line_count: Generated<number>;
  job_count: Generated<number>;
  reject_count: Generated<number>;
  stop_code: string | null;
  stop_message: string | null;
  read_bytes: Generated<number>;
  written_count: Generated<number>;
  written_rejects: Generated<number>;
  written_until: Date | null;
  written_job: string | null;
  output_bytes: Generated<number>;
  error_bytes: Generated<number>;
  created_at: Created;
  in_progress_at: Date | null;
  expires_at: Date;
  finalizing_at: Date | null;
  completed_at: Date | null;
  failed_at: Date | null;
  expired_at: Date | null;
  cancelling_at: Date | null;
  cancelled_at: Date | null;
  paused_at: Date | null;
  due_at: Generated<Date>;
  dispatch_no: Generated<number>;
  news: Generated<number>;
  lease_token: Generated<number>;
  lease_until: Date | null;
}

export interface BatchRejectsTable {
  batch_id: string;
  line: number;
  custom_id: string | null;
  code: string;
  message: string;
  param: string | null;
}

export interface BatchRunsTable {
  batch_id: string;
  project_id: string;
  priority: number;
  is_open: boolean;
  rung_to: string | null;
  aged_to: string | null;
  aged_at: Date | null;
}

export interface BatchTalliesTable {
  batch_id: string;
  shard: number;
  completed: Generated<number>;
  failed: Generated<number>;
  cancelled: Generated<number>;
  expired: Generated<number>;
  input_tokens: Generated<number>;
  output_tokens: Generated<number>;
  total_tokens: Generated<number>;
  cached_input_tokens: Generated<number>;
  reasoning_tokens: Generated<number>;
  cost_micros: Generated<number>;
  unpriced: Generated<number>;
}
