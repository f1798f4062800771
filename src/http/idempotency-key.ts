import { ApiError } from './api-error.js';

const VISIBLE_ASCII = /^[\x21-\x7e]{1,255}$/;

/** The key of an `Idempotency-Key` header, quoted or not; null without the header. Throws {@link ApiError} if it is wrong. */
export function parseIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (VISIBLE_ASCII.test(key)) return key;
  throw new ApiError('invalid_value', 'Idempotency-Key must be 1 to 255 visible ASCII characters.', {
    param: 'Idempotency-Key',
  });
}
