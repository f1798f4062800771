import { ApiError } from './api-error.js';
import { type IdPrefix, toUuid } from '../storage/ids.js';
import { textFlaw } from './text-flaw.js';

export type Order = 'asc' | 'desc';

/** What a list request asks for. */
export interface Paging {
  /** 1–100, or as the list allows. */
  readonly limit: number;
  /** The id after which the page begins; null for the first page. */
  readonly after: string | null;
  readonly order: Order;
}

/** A page of a list, as OpenAI writes it. */
export interface ListReply<T> {
  readonly object: 'list';
  readonly data: readonly T[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

const LIMITS = { most: 100, normal: 20 };
const LONGEST_ID = 256;

/** Reads `limit`, `after` and `order` of a query; the door's other parameters are its own. Throws {@link ApiError}. */
export function parsePaging(
  query: Readonly<Record<string, unknown>>,
  options: { defaultOrder?: Order; limits?: { most: number; normal: number } } = {},
): Paging {
  return {
    limit: parseLimit(query['limit'], options.limits ?? LIMITS),
    after: parseAfter(query['after']),
    order: parseOrder(query['order'], options.defaultOrder ?? 'desc'),
  };
}

/**
 * The uuid of the object after which the page begins; null for the first page. `kind` says whose it must be: `job`. Throws
 * {@link ApiError} for what is no such id.
 */
export function afterUuid({ after }: Paging, kind: IdPrefix): string | null {
  if (after === null) return null;
  const uuid = toUuid(kind, after);
  if (uuid !== null) return uuid;
  throw new ApiError(
    'invalid_value',
    `after must be the id of a ${kind}, the last of the page before: '${kind}${kind === 'file' ? '-' : '_'}…'.`,
    { param: 'after' },
  );
}

/** Makes the reply of a page. `idOf` says by what the client asks for the next page; without it, by `id`. */
export function listReply<T extends { readonly id: string }>(
  data: readonly T[],
  hasMore: boolean,
): ListReply<T>;
export function listReply<T>(data: readonly T[], hasMore: boolean, idOf: (item: T) => string): ListReply<T>;
export function listReply<T>(
  data: readonly T[],
  hasMore: boolean,
  idOf: (item: T) => string = (item) => (item as { id: string }).id,
): ListReply<T> {
  const [first, last] = [data.at(0), data.at(-1)];
  return {
    object: 'list',
    data,
    first_id: first === undefined ? null : idOf(first),
    last_id: last === undefined ? null : idOf(last),
    has_more: hasMore,
  };
}

function parseLimit(value: unknown, { most, normal }: { most: number; normal: number }): number {
  if (value === undefined) return normal;
  const limit = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : NaN;
  if (limit >= 1 && limit <= most) return limit;
  throw new ApiError('invalid_value', `limit must be a whole number from 1 to ${most}.`, {
    param: 'limit',
  });
}

function parseAfter(value: unknown): string | null {
  // OpenAI's client writes null as nothing at all.
  if (value === undefined || value === '') return null;
  const isId = typeof value === 'string' && value !== '' && value.length <= LONGEST_ID;
  if (isId && textFlaw(value) === null) return value;
  throw new ApiError('invalid_value', 'after must be one id, the last of the page before.', {
    param: 'after',
  });
}

function parseOrder(value: unknown, fallback: Order): Order {
  if (value === undefined) return fallback;
  if (value === 'asc' || value === 'desc') return value;
  throw new ApiError('invalid_value', "order must be 'asc' or 'desc'.", { param: 'order' });
}
