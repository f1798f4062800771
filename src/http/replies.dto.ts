import type { ErrorCode, ErrorEnvelope, ErrorType } from './api-error.js';

/** What was wrong. */
export class ErrorDto {
  /** What is wrong, where, and what would be right. */
  message: string;
  type: ErrorType;
  /** The field, query parameter or header that is wrong. */
  param: string | null;
  code: ErrorCode;
}

/** Every error, in OpenAI's envelope. */
export class ErrorEnvelopeDto implements ErrorEnvelope {
  error: ErrorDto;
}

export class LivenessDto {
  status: 'ok';
}

/** It is seen without a key, so it says which part fails, never why. */
export class ReadinessDto {
  /** `degraded`: a part that is not required fails, and requests are still served. */
  status: 'ok' | 'degraded' | 'unavailable' | 'shutting_down';
  /** By part: `ok`, `failed` or `timeout`. */
  checks: Record<string, string>;
}
