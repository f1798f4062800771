import { IsBoolean, IsIn, IsInt, IsObject, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { IsMetadata } from '../http/metadata.js';
import { ENDPOINTS, type Endpoint } from '../providers/adapter.js';
import { PRIORITIES, type Priority } from '../queue/queues.js';

const SEVEN_DAYS_SECONDS = 604_800;
/** The end of the year 9999: no time in a request lies behind it. */
export const LATEST_UNIX_SECONDS = 253_402_300_799;

/** A job as it is submitted. */
export class SubmitJobDto {
  /** The endpoint's own body, passed on whole. `model` names a model (`provider/model`) or a policy (`policy/name`); `models` a chain. */
  @IsObject()
  request: Record<string, unknown>;

  /** Whose body `request` is. Default `/v1/chat/completions`. */
  @IsOptional()
  @IsIn(ENDPOINTS)
  endpoint?: Endpoint;

  /** Where the job's end is told, signed. */
  @IsOptional()
  @IsString()
  @MaxLength(2048)
  webhook_url?: string;

  /** Up to 16 pairs, to find the job by. */
  @IsOptional()
  @IsMetadata()
  metadata?: Record<string, string>;

  /** False: once the job has ended and its result is delivered, only the hashes of its bodies are kept. Default true. */
  @IsOptional()
  @IsBoolean()
  store?: boolean;

  /** Default `normal`. */
  @IsOptional()
  @IsIn(Object.keys(PRIORITIES))
  priority?: Priority;

  /** Seconds after which the job ends in any case, counted from when it may run. Default 86400. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(SEVEN_DAYS_SECONDS)
  expires_in?: number;

  /** Unix seconds before which the job does not run. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(LATEST_UNIX_SECONDS)
  run_at?: number;
}
