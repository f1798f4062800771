import { applyDecorators } from '@nestjs/common';
import { ApiQuery } from '@nestjs/swagger';
import { ApiError } from '../http/api-error.js';
import { assertKnownParams } from '../http/known-params.js';
import { type Paging, parsePaging } from '../http/paging.js';
import type { DeliveryStatus } from '../storage/webhook-tables.js';
import type { DeliveryFilters } from './deliveries.repository.js';
import { EVENT_TYPES } from './event.js';

/** Every status that a delivery can have. */
const DELIVERY_STATUSES: DeliveryStatus[] = ['pending', 'succeeded', 'failed'];
const LATEST_UNIX_SECONDS = 9_999_999_999;

/** Documents the parameters that {@link parseDeliveriesQuery} reads. */
export function ApiDeliveriesQuery(): MethodDecorator {
  const optional = { required: false } as const;
  return applyDecorators(
    ApiQuery({ ...optional, name: 'status', enum: DELIVERY_STATUSES }),
    ApiQuery({ ...optional, name: 'event', enum: EVENT_TYPES }),
    ApiQuery({ ...optional, name: 'since', type: 'integer', description: 'Unix seconds' }),
    ApiQuery({ ...optional, name: 'until', type: 'integer', description: 'Unix seconds' }),
    ApiQuery({ ...optional, name: 'limit', type: 'integer' }),
    ApiQuery({ ...optional, name: 'after', type: 'string' }),
    ApiQuery({ ...optional, name: 'order', enum: ['asc', 'desc'] }),
  );
}

/** Reads the filters and the page of a query for deliveries. Throws an ApiError for what is wrong or not known. */
export function parseDeliveriesQuery(query: Readonly<Record<string, unknown>>): {
  filters: DeliveryFilters;
  paging: Paging;
} {
  assertKnownParams(query, ['status', 'event', 'since', 'until', 'limit', 'after', 'order']);
  const { status, event, since, until } = query;
  return {
    filters: {
      ...(status !== undefined && { status: oneOf(DELIVERY_STATUSES, status, 'status') }),
      ...(event !== undefined && { event: oneOf(EVENT_TYPES, event, 'event') }),
      ...(since !== undefined && { since: unixSeconds(since, 'since') }),
      ...(until !== undefined && { until: unixSeconds(until, 'until') }),
    },
    paging: parsePaging(query),
  };
}

function oneOf<T extends string>(choices: readonly T[], value: unknown, param: string): T {
  return choices.find((choice) => choice === value) ?? wrong(param, `one of: ${choices.join(', ')}`);
}

function unixSeconds(value: unknown, param: string): number {
  const isRight = typeof value === 'string' && /^\d{1,10}$/.test(value);
  return isRight ? Number(value) : wrong(param, `Unix seconds, from 0 to ${LATEST_UNIX_SECONDS}`);
}

function wrong(param: string, right: string): never {
  throw new ApiError('invalid_value', `${param} must be ${right}.`, { param });
}
