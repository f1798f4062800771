import { ApiProperty } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { IsMetadata } from '../http/metadata.js';
import { ENDPOINTS, type Endpoint } from '../providers/adapter.js';
import { MOST_DRY_ATTEMPTS } from '../routing/dry-run.js';
import type { Decision, FailureClass } from '../routing/failure.js';

const SEVEN_DAYS_SECONDS = 604_800;
const MOST_SEED = 2 ** 32 - 1;

/** A job that is played and not run: its calls end as they are told to. */
export class DryRunDto {
  /** The endpoint's own body, as it would be submitted; `model` may be left out. */
  @IsObject()
  request: Record<string, unknown>;

  /** What comes of each call in turn, the last one again and again: `ok`, `server_error`, `rate_limited:5` (seconds of Retry-After). */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_DRY_ATTEMPTS)
  @IsString({ each: true })
  @MaxLength(64, { each: true })
  outcomes: string[];

  /** Which version is played. Default: the current one. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(2 ** 31 - 1)
  version?: number;

  /** A draft that is played in place of the kept policy, which need not be there. */
  @IsOptional()
  @IsObject()
  policy?: Record<string, unknown>;

  /** Whose body `request` is. Default `/v1/chat/completions`. */
  @IsOptional()
  @IsIn(ENDPOINTS)
  endpoint?: Endpoint;

  /** The job's metadata: a `weighted` policy looks at it. */
  @IsOptional()
  @IsMetadata()
  metadata?: Record<string, string>;

  /** Seconds until the job's deadline. Default 86400. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(SEVEN_DAYS_SECONDS)
  expires_in?: number;

  /** What its waits and its place among the weights are drawn from, 0 to 4294967295. Default 0. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(MOST_SEED)
  seed?: number;
}

/** What was played. */
export class DryRunPolicyDto {
  name: string;
  /** Null for a draft. */
  version: number | null;
}

/** The order in which the job would walk its models. */
export class DryRunOrderDto {
  models: string[];
  /** Why it is this one; null for the order in which the steps are written. */
  reason: string | null;
}

/** An attempt that would be made. Moments are milliseconds from the job's start. */
export class DryRunAttemptDto {
  index: number;
  round: number;
  /** The place in the order; 0 for the first. */
  step: number;
  model: string;
  key_id: string | null;
  outcome: 'succeeded' | 'failed' | 'skipped';
  class: FailureClass | null;
  /** Why the model can't take the request; null where the outcome comes from the script. */
  message: string | null;
  retry_after_ms: number | null;
  /** Null only on the last attempt of a run that is cut off. */
  decision: Decision | null;
  decision_reason: string | null;
  at_ms: number;
  /** How long the job waited before it. */
  waited_ms: number;
  /** 0 but for a call that times out. */
  duration_ms: number;
}

/** What would become of the job. */
export class DryRunResultDto {
  /** `cut_off`: there would be more attempts than are played. */
  status: 'completed' | 'failed' | 'expired' | 'cut_off';
  served_by: string | null;
  error_code: string | null;
  reason: string;
  at_ms: number;
}

/** The attempts that would follow, and why. */
export class DryRunReplyDto {
  object: 'policy.dry_run';
  policy: DryRunPolicyDto;
  order: DryRunOrderDto;
  attempts: DryRunAttemptDto[];
  result: DryRunResultDto;
}

/** Said by hand: of `unknown` the description would say that it is an object. */
const ANY_JSON = {
  anyOf: [
    { type: 'object' },
    { type: 'array', items: {} },
    ...['string', 'number', 'boolean', 'null'].map((type) => ({ type })),
  ],
};

/** One place at which two versions differ. */
export class PolicyChangeDto {
  /** `add` and `remove` for what only one of them has. */
  op: 'add' | 'remove' | 'replace';
  /** A JSON Pointer: `/steps/0/model`. */
  path: string;
  /** Null where it was not there. */
  @ApiProperty(ANY_JSON)
  from: unknown;

  /** Null where it is no longer there. */
  @ApiProperty(ANY_JSON)
  to: unknown;
}

/** What became different from one version to another, the defaults filled in. */
export class PolicyDiffDto {
  object: 'policy.diff';
  name: string;
  from: number;
  to: number;
  changes: PolicyChangeDto[];
}
