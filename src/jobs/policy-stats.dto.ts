import type { FailureClass } from '../routing/failure.js';

/** How many jobs have each status. */
export class JobCountsDto {
  total: number;
  queued: number;
  in_progress: number;
  completed: number;
  failed: number;
  cancelled: number;
  expired: number;
}

/** Milliseconds within which that share was done: half, 90, 95 and 99 of a hundred. */
export class LatencyDto {
  p50: number;
  p90: number;
  p95: number;
  p99: number;
}

/** Tokens and cost of calls. */
export class SpendingDto {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  /** What the calls with a known price cost together; null if there is none. */
  cost_usd: number | null;
  /** How many calls answered, or told their tokens, and have no known price: `cost_usd` is without them. */
  calls_without_cost: number;
}

/** One model's part. */
export class ModelStatsDto extends SpendingDto {
  model: string;
  /** How many jobs were completed with its answer. */
  served: number;
  /** That as a share of the completed jobs, 0 to 1. */
  served_share: number | null;
  /** Attempts by how they ended; those that run are not among them. */
  succeeded: number;
  failed: number;
  skipped: number;
  /** Attempts that were broken off: interrupted, cancelled, superseded. */
  broken_off: number;
  /** How long its good answers took; null if there are none. */
  latency_ms: LatencyDto | null;
}

/** One way in which one model failed. */
export class FailureStatsDto {
  model: string;
  class: FailureClass;
  attempts: number;
  /** After how many of these the next model was tried. */
  fell_back: number;
}

/** What became of a policy's jobs. */
export class PolicyStatsDto {
  object: 'policy.stats';
  name: string;
  /** Null for all versions. */
  version: number | null;
  /** Unix seconds: jobs that were accepted later than this. */
  created_after: number;
  /** Unix seconds: and earlier than this; null for all since. */
  created_before: number | null;
  jobs: JobCountsDto;
  /** How many of the ended jobs tried another model than the first. */
  fell_back: number;
  /** That as a share of the ended jobs, 0 to 1; null if none has ended. */
  fallback_rate: number | null;
  /** From acceptance to the end, of completed jobs; null if there are none. */
  latency_ms: LatencyDto | null;
  /** Of all models together. */
  spending: SpendingDto;
  /** The one that served most comes first. */
  models: ModelStatsDto[];
  /** The most frequent comes first. */
  failures: FailureStatsDto[];
}
