import { ApiError } from '../http/api-error.js';
import { FILE_LIFE } from './file-terms.js';

/**
 * The seconds of OpenAI's `{"anchor": "created_at", "seconds": …}`; null if it is absent. Throws an ApiError that names the
 * part that is wrong.
 */
export function parseExpiry(value: unknown, param: string): number | null {
  if (value === null || value === undefined) return null;
  const { anchor, seconds } = value as { anchor?: unknown; seconds?: unknown };
  if (anchor !== 'created_at') throw wrong(`${param}.anchor`, "must be 'created_at'");
  const isRight =
    Number.isInteger(seconds) &&
    Number(seconds) >= FILE_LIFE.shortest &&
    Number(seconds) <= FILE_LIFE.longest;
  if (!isRight) {
    throw wrong(
      `${param}.seconds`,
      `must be a whole number from ${FILE_LIFE.shortest} to ${FILE_LIFE.longest}`,
    );
  }
  return Number(seconds);
}

function wrong(param: string, predicate: string): ApiError {
  return new ApiError('invalid_value', `${param} ${predicate}.`, { param });
}
