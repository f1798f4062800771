import { RawJson } from '../http/raw-json.js';
import type { Endpoint } from '../providers/adapter.js';
import { PRIORITIES, type Priority } from '../queue/queues.js';
import type { Decision, FailureClass, Outcome } from '../routing/failure.js';
import { toPublicId } from '../storage/ids.js';
import type { AttemptDto, JobDto, JobResponseDto, ListedJobDto, UsageDto } from './job-reply.dto.js';
import type { AttemptRow, JobRow, WholeJobRow } from './jobs.repository.js';

/** As the class says, without being one of its instances. */
type ListedJob = Pick<ListedJobDto, keyof ListedJobDto>;

/** A job as it goes out: its bodies are the texts that were kept. */
type JobReply = Omit<JobDto, 'request' | 'response'> & {
  readonly request: RawJson | null;
  readonly response: (Omit<JobResponseDto, 'body'> & { readonly body: RawJson | null }) | null;
};

const PRIORITY_NAMES = new Map<number, Priority>(
  Object.entries(PRIORITIES).map(([name, value]) => [value, name as Priority]),
);

/** A job in a list: without its bodies and attempts, which may be large. */
export function toListedJob(row: JobRow): ListedJob {
  return {
    id: toPublicId('job', row.id),
    object: 'job',
    status: row.status,
    endpoint: row.endpoint as Endpoint,
    model: row.model,
    policy:
      row.policy_name === null || row.policy_version === null
        ? null
        : { name: row.policy_name, version: row.policy_version },
    order_reason: row.order_reason,
    served_by: row.served_by,
    attempt_count: row.attempt_count,
    fell_back: row.fell_back,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
    usage: toUsage(row),
    cost_usd: toUsd(row.cost_micros),
    batch_id: row.batch_id === null ? null : toPublicId('batch', row.batch_id),
    custom_id: row.custom_id,
    shared_with: row.same_as === null ? null : toPublicId('job', row.same_as),
    retry_of: row.retry_of === null ? null : toPublicId('job', row.retry_of),
    metadata: row.metadata,
    priority: PRIORITY_NAMES.get(row.priority) ?? 'normal',
    store: row.store,
    created_at: toSeconds(row.created_at),
    started_at: row.started_at && toSeconds(row.started_at),
    finished_at: row.finished_at && toSeconds(row.finished_at),
    // Only a job that waits for a moment of its own has one; the others are due all the time.
    due_at: row.waiting ? toSeconds(row.due_at) : null,
    expires_at: toSeconds(row.expires_at),
  };
}

/** The whole job. The request and the response's body are the texts that were kept, byte for byte. */
export function toJob(row: WholeJobRow, attempts: readonly AttemptRow[]): JobReply {
  return {
    ...toListedJob(row),
    request: row.request === null ? null : new RawJson(row.request),
    request_sha256: row.requestSha256,
    response:
      row.response_status === null
        ? null
        : {
            status_code: row.response_status,
            request_id: row.response_request_id ?? '',
            body: row.response === null ? null : new RawJson(row.response),
          },
    response_sha256: row.responseSha256,
    attempts: attempts.map(toAttempt),
  };
}

/** The job as it was when it was accepted: the first reply, the same however often it is asked for again. */
export function toAcceptedJob(row: WholeJobRow): JobReply {
  return {
    ...toJob(row, []),
    status: 'queued',
    order_reason: null,
    served_by: null,
    attempt_count: 0,
    fell_back: false,
    error: null,
    usage: null,
    cost_usd: null,
    response: null,
    response_sha256: null,
    started_at: null,
    finished_at: null,
    due_at: row.run_at && toSeconds(row.run_at),
  };
}

/** One attempt of the ledger. */
export function toAttempt(row: AttemptRow): AttemptDto {
  return {
    id: toPublicId('att', row.id),
    object: 'job.attempt',
    job_id: toPublicId('job', row.job_id),
    index: row.index,
    round: row.round,
    step: row.step,
    model: row.model,
    provider: row.provider,
    key_id: row.key_id,
    // Only these words are ever written.
    outcome: row.outcome as Outcome | null,
    class: row.class as FailureClass | null,
    http_status: row.http_status,
    message: row.message,
    sent: row.sent,
    retry_after_ms: row.retry_after_ms,
    decision: row.decision as Decision | null,
    decision_reason: row.decision_reason,
    started_at_ms: row.started_at.getTime(),
    duration_ms: row.ended_at && row.ended_at.getTime() - row.started_at.getTime(),
    usage: toUsage(row),
    cost_usd: toUsd(row.cost_micros),
    upstream_request_id: row.upstream_request_id,
    worker: row.worker,
  };
}

type Tokens = Pick<
  JobRow,
  | 'input_tokens'
  | 'output_tokens'
  | 'total_tokens'
  | 'cached_input_tokens'
  | 'cache_write_tokens'
  | 'reasoning_tokens'
>;

function toUsage(row: Tokens): UsageDto | null {
  if (row.total_tokens === null) return null;
  return {
    input_tokens: Number(row.input_tokens),
    output_tokens: Number(row.output_tokens),
    total_tokens: Number(row.total_tokens),
    input_tokens_details: {
      cached_tokens: Number(row.cached_input_tokens),
      cache_write_tokens: Number(row.cache_write_tokens),
    },
    output_tokens_details: { reasoning_tokens: Number(row.reasoning_tokens) },
  };
}

function toUsd(micros: number | null): number | null {
  return micros === null ? null : micros / 1e6;
}

function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
