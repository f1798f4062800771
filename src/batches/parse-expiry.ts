import { ApiError } from '../http/api-error.js';
import { isLife, LIFE_RULE } from './file-terms.js';

/**
 * The seconds of OpenAI's `{"anchor": "created_at", "seconds": …}`; null if it is absent. Throws an ApiError that names the
 * part that is wrong.
 */
export function parseExpiry(value: unknown, param: string): number | null {
  if (value === null || value === undefined) return null;
  const { anchor, seconds } = value as { anchor?: unknown; seconds?: unknown };
  if (anchor !== 'created_at') throw wrong(`${param}.anchor`, "must be 'created_at'");
  if (!isLife(seconds)) throw wrong(`${param}.seconds`, `must be ${LIFE_RULE}`);
  return seconds;
}

function wrong(param: string, predicate: string): ApiError {
  return new ApiError('invalid_value', `${param} ${predicate}.`, { param });
}
