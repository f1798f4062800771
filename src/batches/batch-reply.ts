import type { Progress } from '../jobs/batch-jobs.service.js';
import { PRIORITIES, type Priority } from '../queue/queues.js';
import { toPublicId } from '../storage/ids.js';
import type { BatchStatus } from '../storage/batch-tables.js';
import type {
  BatchDto,
  BatchErrorDto,
  BatchErrorListDto,
  BatchRequestCountsDto,
  BatchUsageDto,
} from './batch.dto.js';
import type { BatchRow, RejectRow } from './batches.repository.js';

/** As the class says, without being one of its instances. */
type Batch = Pick<BatchDto, keyof BatchDto>;

const PRIORITY_NAMES = new Map<number, Priority>(
  Object.entries(PRIORITIES).map(([name, value]) => [value, name as Priority]),
);
const ENDED: readonly BatchStatus[] = ['failed', 'completed', 'expired', 'cancelled'];

/** Whether nothing happens to a batch any more. */
export function isEnded(status: BatchStatus): boolean {
  return ENDED.includes(status);
}

/** A batch as it goes out. */
export function toBatch(row: BatchRow, progress: Progress | undefined, rejects: readonly RejectRow[]): Batch {
  const isOver = isEnded(row.status);
  return {
    id: toPublicId('batch', row.id),
    object: 'batch',
    endpoint: row.endpoint,
    model: row.model,
    errors: errorsOf(row, rejects),
    input_file_id: toPublicId('file', row.input_file_id),
    completion_window: row.completion_window,
    status: row.status,
    // While the batch runs its files are being written, and nobody sees them.
    output_file_id: isOver ? fileId(row.output_file_id) : null,
    error_file_id: isOver ? fileId(row.error_file_id) : null,
    created_at: seconds(row.created_at),
    in_progress_at: secondsOrNull(row.in_progress_at),
    expires_at: seconds(row.expires_at),
    finalizing_at: secondsOrNull(row.finalizing_at),
    completed_at: secondsOrNull(row.completed_at),
    failed_at: secondsOrNull(row.failed_at),
    expired_at: secondsOrNull(row.expired_at),
    cancelling_at: secondsOrNull(row.cancelling_at),
    cancelled_at: secondsOrNull(row.cancelled_at),
    request_counts: countsOf(row, progress),
    usage: usageOf(progress),
    metadata: row.metadata,
    priority: PRIORITY_NAMES.get(row.priority) ?? 'normal',
    webhook_url: row.webhook_url,
    paused_at: secondsOrNull(row.paused_at),
    max_cost_usd: row.max_cost_micros === null ? null : row.max_cost_micros / 1e6,
    max_error_rate: row.max_error_rate,
    accept_invalid_lines: row.accept_invalid_lines,
    dedupe: row.dedupe,
    retry_of: row.retry_of === null ? null : toPublicId('batch', row.retry_of),
    cost_usd: (progress?.costMicros ?? 0) / 1e6,
    unpriced_requests: progress?.unpriced ?? 0,
  };
}

/** The batch as it was when it was made: the first reply, the same however often it is asked for again. */
export function toNewBatch(row: BatchRow): Batch {
  const none = null;
  return toBatch(
    {
      ...row,
      status: 'validating',
      line_count: 0,
      job_count: 0,
      reject_count: 0,
      stop_code: none,
      in_progress_at: none,
      finalizing_at: none,
      completed_at: none,
      failed_at: none,
      expired_at: none,
      cancelling_at: none,
      cancelled_at: none,
      paused_at: none,
    },
    undefined,
    [],
  );
}

/** What the event of a batch's end tells. */
export function eventOf(
  row: BatchRow,
  status: BatchStatus,
  progress: Progress | undefined,
): Record<string, unknown> {
  return {
    id: toPublicId('batch', row.id),
    object: 'batch',
    status,
    request_counts: countsOf(row, progress),
    output_file_id: fileId(row.output_file_id),
    error_file_id: fileId(row.error_file_id),
    metadata: row.metadata,
  };
}

function countsOf(row: BatchRow, progress: Progress | undefined): BatchRequestCountsDto {
  return {
    total: row.job_count + row.reject_count,
    completed: progress?.completed ?? 0,
    failed: (progress?.failed ?? 0) + row.reject_count,
    in_progress: progress?.running ?? 0,
    cancelled: progress?.cancelled ?? 0,
    expired: progress?.expired ?? 0,
  };
}

function usageOf(progress: Progress | undefined): BatchUsageDto {
  return {
    input_tokens: progress?.inputTokens ?? 0,
    input_tokens_details: { cached_tokens: progress?.cachedInputTokens ?? 0 },
    output_tokens: progress?.outputTokens ?? 0,
    output_tokens_details: { reasoning_tokens: progress?.reasoningTokens ?? 0 },
    total_tokens: progress?.totalTokens ?? 0,
  };
}

/** What is wrong with the batch as a whole first, then with its lines. */
function errorsOf(row: BatchRow, rejects: readonly RejectRow[]): BatchErrorListDto | null {
  const whole: BatchErrorDto[] =
    row.stop_code === null
      ? []
      : [{ code: row.stop_code, message: row.stop_message ?? '', param: null, line: null }];
  const ofLines = rejects.map(({ code, message, param, line }) => ({ code, message, param, line }));
  const total = whole.length + row.reject_count;
  return total === 0 ? null : { object: 'list', data: [...whole, ...ofLines], total };
}

function fileId(uuid: string | null): string | null {
  return uuid === null ? null : toPublicId('file', uuid);
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function secondsOrNull(time: Date | null): number | null {
  return time === null ? null : seconds(time);
}
