import { type RawBuilder, sql } from 'kysely';

/**
 * Whether there is such a row: `rest` is a select from its `from` on. Each time it is asked one row is looked for, by an index; an
 * `exists` may be planned as a table of all that could ever be asked for, and that may be the whole backlog.
 */
export function isThere(rest: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`coalesce((select true ${rest} limit 1), false)`;
}
