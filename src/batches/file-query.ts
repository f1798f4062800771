import { ApiError } from '../http/api-error.js';
import { assertKnownParams } from '../http/known-params.js';
import { type Paging, parsePaging } from '../http/paging.js';
import { FILE_PURPOSES, type FilePurpose } from './file-terms.js';

/** As OpenAI has it. */
const LIMITS = { most: 10_000, normal: 10_000 };

/** Reads the query of a list of files; throws an ApiError for a wrong value, or a parameter that is not known. */
export function parseFileQuery(query: Readonly<Record<string, unknown>>): {
  purpose: FilePurpose | null;
  paging: Paging;
} {
  assertKnownParams(query, ['purpose', 'limit', 'after', 'order']);
  return { purpose: parsePurpose(query['purpose']), paging: parsePaging(query, { limits: LIMITS }) };
}

function parsePurpose(value: unknown): FilePurpose | null {
  if (value === undefined) return null;
  const purpose = FILE_PURPOSES.find((each) => each === value);
  if (purpose !== undefined) return purpose;
  throw new ApiError('invalid_value', `purpose must be one of: ${FILE_PURPOSES.join(', ')}.`, {
    param: 'purpose',
  });
}
