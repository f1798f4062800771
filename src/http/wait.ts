import { ApiError } from './api-error.js';

/** The longest that a request is held. */
export const LONGEST_WAIT_SECONDS = 60;

/**
 * The seconds that a `Prefer` header asks to wait (RFC 7240, section 4.3), at most {@link LONGEST_WAIT_SECONDS}; null
 * if it asks for nothing. A preference is no order: what cannot be read is passed over.
 */
export function preferredWaitSeconds(header: string | readonly string[] | undefined): number | null {
  if (header === undefined) return null;
  const preferences = splitOutsideQuotes(typeof header === 'string' ? header : header.join(','));
  for (const preference of preferences) {
    const [, name, value] = /^\s*([^\s=;]+)\s*(?:=\s*([^;]*))?/.exec(preference) ?? [];
    if (name?.toLowerCase() !== 'wait') continue;
    // The first one of a name counts (section 2), be it good or bad.
    const digits = /^"?(\d{1,15})"?\s*$/.exec(value ?? '')?.[1];
    return digits === undefined ? null : Math.min(Number(digits), LONGEST_WAIT_SECONDS);
  }
  return null;
}

/** The seconds of `?wait=`, at most {@link LONGEST_WAIT_SECONDS}; null if absent. Throws {@link ApiError} if wrong. */
export function queriedWaitSeconds(value: unknown): number | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && /^\d{1,15}$/.test(value))
    return Math.min(Number(value), LONGEST_WAIT_SECONDS);
  throw new ApiError(
    'invalid_value',
    `wait must be a whole number of seconds from 0 to ${LONGEST_WAIT_SECONDS}.`,
    {
      param: 'wait',
    },
  );
}

function splitOutsideQuotes(header: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let i = 0; i < header.length; i++) {
    const letter = header[i];
    if (isQuoted && letter === '\\') i++;
    else if (letter === '"') isQuoted = !isQuoted;
    else if (letter === ',' && !isQuoted) {
      parts.push(header.slice(start, i));
      start = i + 1;
    }
  }
  return [...parts, header.slice(start)];
}
