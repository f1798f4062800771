import { ApiError } from '../http/api-error.js';
import { assertKnownParams } from '../http/known-params.js';
import type { ResultsQuery } from './batch-streams.js';

/** How a line can have ended. */
export const RESULT_STATUSES = ['completed', 'failed', 'cancelled', 'expired'] as const;
const ORDERS = ['ended', 'input'] as const;

/** Reads the query of a batch's results. Throws an ApiError for what is wrong in it. */
export function parseResultsQuery(query: Readonly<Record<string, unknown>>): ResultsQuery {
  assertKnownParams(query, ['after', 'order', 'status']);
  const { after } = query;
  if (after !== undefined && typeof after !== 'string') throw wrong('after', 'given once');
  return {
    after: after ?? null,
    order: oneOf(ORDERS, query['order'], 'order') ?? 'ended',
    status: oneOf(RESULT_STATUSES, query['status'], 'status') ?? null,
  };
}

function oneOf<Word extends string>(words: readonly Word[], value: unknown, param: string): Word | undefined {
  if (value === undefined) return undefined;
  const found = words.find((word) => word === value);
  if (found === undefined) throw wrong(param, `one of: ${words.join(', ')}`);
  return found;
}

function wrong(param: string, right: string): ApiError {
  return new ApiError('invalid_value', `${param} must be ${right}.`, { param });
}
