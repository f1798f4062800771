import { ApiError } from './api-error.js';

/** How deep a body may be nested. */
export const MOST_LEVELS = 64;

/** As long as `constructor` can be when each letter is written as an escape of six. */
const LONGEST_SUSPECT = 'constructor'.length * 6;

/** The key between two quotes if it could be one that is looked for; else an empty text. */
export function suspectKey(bytes: Buffer, start: number, end: number): string {
  const length = end - start - 1;
  if (length < '__proto__'.length || length > LONGEST_SUSPECT) return '';
  const written = bytes.toString('latin1', start + 1, end);
  if (!written.includes('\\')) return written;
  try {
    return String(JSON.parse(`"${written}"`));
  } catch {
    return '';
  }
}

/** What a body is told that has such a key. */
export function forbiddenKey(name: string): ApiError {
  return new ApiError('forbidden_key', `The body has the key '${name}', which no request may have.`);
}

/** What a body is told that is nested too deep; `at` is the index of the byte. */
export function depthError(at: number): ApiError {
  return new ApiError(
    'json_too_deep',
    `The body is nested deeper than ${MOST_LEVELS} levels, at byte ${at + 1}.`,
  );
}
