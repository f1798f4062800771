import { ApiError } from '../http/api-error.js';

/** The number of a version, as a path or a query has it. Throws an ApiError that names `param`. */
export function parseVersion(text: unknown, param: string): number {
  if (typeof text === 'string' && /^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new ApiError('invalid_value', `${param} must be the number of a version, such as 1.`, { param });
}
