import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { MODEL_ENDPOINTS } from '../config/config.js';
import { IsMetadata } from '../http/metadata.js';
import { PRIORITIES, type Priority } from '../queue/queues.js';
import type { BatchStatus } from '../storage/batch-tables.js';

/** More go into a file. */
export const MOST_INLINE_REQUESTS = 10_000;
const MOST_USD = 1_000_000;

/** A batch as it is made: OpenAI's fields, and what Baton adds. */
export class CreateBatchDto {
  /** A file of purpose `batch`: JSONL, a request in each line. Either this or `requests`. */
  @IsOptional()
  @IsString()
  @MaxLength(256)
  input_file_id?: string;

  /** The requests themselves, at most 10,000 `{custom_id, body}`; they become the batch's input file. */
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_INLINE_REQUESTS)
  requests?: unknown[];

  /** Whose bodies the requests are; each line's `url` must be the same. */
  @IsIn(MODEL_ENDPOINTS)
  endpoint: (typeof MODEL_ENDPOINTS)[number];

  /** The time in which the batch ends in any case: `24h`, or any from `15m` to `7d`. */
  @IsString()
  @MaxLength(16)
  completion_window: string;

  /** Up to 16 pairs. */
  @IsOptional()
  @IsMetadata()
  metadata?: Record<string, string>;

  /** How long the output files are kept: `{"anchor": "created_at", "seconds": 3600 … 2592000}`. Default 30 days. */
  @IsOptional()
  @IsObject()
  output_expires_after?: Record<string, unknown>;

  /** For the lines that name no model of their own: `provider/model` or `policy/name`. */
  @IsOptional()
  @IsString()
  @MaxLength(256)
  model?: string;

  /** Where the batch's end is told, signed. */
  @IsOptional()
  @IsString()
  @MaxLength(2048)
  webhook_url?: string;

  /** Default `normal`. */
  @IsOptional()
  @IsIn(Object.keys(PRIORITIES))
  priority?: Priority;

  /** The batch is stopped once its lines have cost so many US dollars; what is done by then is kept. */
  @IsOptional()
  @IsNumber()
  @Min(0.000001)
  @Max(MOST_USD)
  max_cost_usd?: number;

  /** The batch is stopped once a greater share of its ended lines, of 20 or more, has failed: 0 to 1. */
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(1)
  max_error_rate?: number;

  /** Runs the good lines although others are wrong; without it nothing runs then. */
  @IsOptional()
  @IsBoolean()
  accept_invalid_lines?: boolean;

  /** Runs equal requests once; the others share the answer, at no cost. */
  @IsOptional()
  @IsBoolean()
  dedupe?: boolean;
}

/** What of an ended batch is run again. */
export class RetryFailedDto {
  /** How the lines ended that are run again: of `failed`, `expired`, `cancelled`. Default the first two. */
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @IsIn(['failed', 'expired', 'cancelled'], { each: true })
  statuses?: ('failed' | 'expired' | 'cancelled')[];
}

/** What is wrong with a batch, or with one line of its input. */
export class BatchErrorDto {
  code: string;
  message: string;
  /** The field of the line that is wrong. */
  param: string | null;
  /** The line's number in the input, from 1. */
  line: number | null;
}

export class BatchErrorListDto {
  object: 'list';
  /** The first 1,000. */
  data: BatchErrorDto[];
  /** How many there are. */
  total: number;
}

export class BatchRequestCountsDto {
  /** All requests of the input, those that were turned away among them. */
  total: number;
  completed: number;
  /** Failed, or turned away. */
  failed: number;
  /** Being run just now. */
  in_progress: number;
  cancelled: number;
  expired: number;
}

export class BatchInputTokensDetailsDto {
  cached_tokens: number;
}

export class BatchOutputTokensDetailsDto {
  reasoning_tokens: number;
}

/** Tokens of all lines that have ended. */
export class BatchUsageDto {
  input_tokens: number;
  input_tokens_details: BatchInputTokensDetailsDto;
  output_tokens: number;
  output_tokens_details: BatchOutputTokensDetailsDto;
  total_tokens: number;
}

/** A batch. Times are Unix seconds. */
export class BatchDto {
  id: string;
  object: 'batch';
  endpoint: string;
  model: string | null;
  /** Null while nothing is wrong. */
  errors: BatchErrorListDto | null;
  input_file_id: string;
  completion_window: string;
  status: BatchStatus;
  /** The answers, once the batch has ended; null if there are none. */
  output_file_id: string | null;
  /** The lines without a good answer, once the batch has ended; null if there are none. */
  error_file_id: string | null;
  created_at: number;
  in_progress_at: number | null;
  expires_at: number;
  finalizing_at: number | null;
  completed_at: number | null;
  failed_at: number | null;
  expired_at: number | null;
  cancelling_at: number | null;
  cancelled_at: number | null;
  request_counts: BatchRequestCountsDto;
  usage: BatchUsageDto;
  metadata: Record<string, string>;
  priority: Priority;
  webhook_url: string | null;
  /** Null while it is not paused. */
  paused_at: number | null;
  max_cost_usd: number | null;
  max_error_rate: number | null;
  accept_invalid_lines: boolean;
  dedupe: boolean;
  /** The batch whose failed lines these are. */
  retry_of: string | null;
  /** What its lines have cost so far, as far as it is known. */
  cost_usd: number;
  /** How many of its lines were paid for at a price that is not known. */
  unpriced_requests: number;
}

/** A page of batches. */
export class BatchListDto {
  object: 'list';
  data: BatchDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}
