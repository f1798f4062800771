import { ApiError } from './api-error.js';

/** A parameter of a query that nobody looks at is a slip, and its sender would take the reply for another. Throws an ApiError. */
export function assertKnownParams(query: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const unknown = Object.keys(query)
    .find((param) => !known.includes(param))
    ?.slice(0, 64);
  if (unknown === undefined) return;
  throw new ApiError(
    'unknown_field',
    `'${unknown}' is no parameter here. The parameters are: ${known.join(', ')}.`,
    { param: unknown },
  );
}
