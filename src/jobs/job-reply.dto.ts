import type { Endpoint } from '../providers/adapter.js';
import type { Priority } from '../queue/queues.js';
import type { Decision, FailureClass, Outcome } from '../routing/failure.js';
import type { JobStatus } from '../storage/schema.js';

export class InputTokensDetailsDto {
  /** Of the input, what came from the provider's cache. */
  cached_tokens: number;
  /** Of the input, what was written to the provider's cache. */
  cache_write_tokens: number;
}

export class OutputTokensDetailsDto {
  /** Of the output, what was spent on reasoning. */
  reasoning_tokens: number;
}

/** Tokens, summed over all attempts of a job, or those of one attempt. */
export class UsageDto {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  input_tokens_details: InputTokensDetailsDto;
  output_tokens_details: OutputTokensDetailsDto;
}

/** The version of a policy that a job pinned. */
export class PinnedPolicyDto {
  name: string;
  version: number;
}

/** Why a job did not complete. */
export class JobErrorDto {
  /** The class of the failure that ended it, `expired`, or `worker_crash_loop`. */
  code: string;
  message: string;
}

/** The last answer of a provider, as OpenAI's batches write it. */
export class JobResponseDto {
  /** The provider's own HTTP status. */
  status_code: number;
  request_id: string;
  /** The provider's body, whole: most often an object; null once it is forgotten. */
  body: unknown;
}

/** One model that was considered for a job: called or skipped, written down before the call. */
export class AttemptDto {
  /** `att_…`, sent to the provider as `x-baton-attempt-id`. */
  id: string;
  object: 'job.attempt';
  job_id: string;
  /** 0 for the first. */
  index: number;
  /** How often the whole chain had been tried before; 0 at first. */
  round: number;
  /** The place in the chain; 0 for the primary. */
  step: number;
  /** `provider/model` */
  model: string;
  provider: string;
  /** Which of the provider's keys was used; null if none was. */
  key_id: string | null;
  /** Null while it runs. */
  outcome: Outcome | null;
  /** The class of the failure; null if there was none. */
  class: FailureClass | null;
  /** Null if no answer came. */
  http_status: number | null;
  /** What went wrong, for people. */
  message: string | null;
  /** Whether the request may have left; null while that is not known. */
  sent: boolean | null;
  /** What the provider asked us to wait. */
  retry_after_ms: number | null;
  /** What was done next; null while it runs. */
  decision: Decision | null;
  /** Why, in a sentence. */
  decision_reason: string | null;
  /** Unix milliseconds. */
  started_at_ms: number;
  /** Null while it runs. */
  duration_ms: number | null;
  usage: UsageDto | null;
  cost_usd: number | null;
  upstream_request_id: string | null;
  /** The process that made it. */
  worker: string;
}

/** A job in a list: without its bodies and attempts. */
export class ListedJobDto {
  /** `job_…` */
  id: string;
  object: 'job';
  status: JobStatus;
  endpoint: Endpoint;
  /** What was asked for: the primary model, or `policy/name`. */
  model: string;
  policy: PinnedPolicyDto | null;
  /** Why its chain is walked in this order; null where the policy's strategy is `fallback`, or before it has begun. */
  order_reason: string | null;
  /** The model whose answer it is. */
  served_by: string | null;
  attempt_count: number;
  /** Whether another model than the first was tried. */
  fell_back: boolean;
  error: JobErrorDto | null;
  usage: UsageDto | null;
  /** What all attempts cost together; null if none has a known cost, or one that is paid for has none. */
  cost_usd: number | null;
  /** The batch whose line it is. */
  batch_id: string | null;
  custom_id: string | null;
  /** The job whose answer it shares: an equal line of the same batch, which alone was run. */
  shared_with: string | null;
  retry_of: string | null;
  metadata: Record<string, string>;
  priority: Priority;
  /** False: its bodies are forgotten once its result is delivered. */
  store: boolean;
  /** Unix seconds. */
  created_at: number;
  /** Unix seconds; null until a worker has taken it. */
  started_at: number | null;
  /** Unix seconds; null until it has ended. */
  finished_at: number | null;
  /** Unix seconds until which it waits; null if it does not. */
  due_at: number | null;
  /** Unix seconds at which it ends in any case. */
  expires_at: number;
}

/** A job with all that is known of it. */
export class JobDto extends ListedJobDto {
  /** The body as it was submitted; null once it is forgotten. */
  request: Record<string, unknown> | null;
  /** The SHA-256 of a request that is forgotten, in hex; else null. */
  request_sha256: string | null;
  response: JobResponseDto | null;
  /** The SHA-256 of a response's body that is forgotten, in hex; else null. */
  response_sha256: string | null;
  /** In the order in which they were made. */
  attempts: AttemptDto[];
}

/** A job that is deleted. */
export class DeletedJobDto {
  id: string;
  object: 'job';
  deleted: true;
}

/** A page of jobs. */
export class JobListDto {
  object: 'list';
  data: ListedJobDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

/** All attempts of a job. */
export class AttemptListDto {
  object: 'list';
  data: AttemptDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}
