import { type RawBuilder, sql } from 'kysely';

/** In characters. A statement that carries more is worth a transaction of its own: who comes with it would wait for its bytes. */
export const LARGE_TEXT = 65_536;

/** A column of a table that a statement is given: its SQL type, and its value for each item. */
export type Column<Item> = readonly [type: string, value: (item: Item) => unknown];

/**
 * Items as the rows of a table in the `from` of a statement: one array for each column, so that the statement's text is the same for
 * any number of items and is prepared once. `ordinal` is each item's place, from 1.
 */
export function tableOf<Item>(
  name: string,
  items: readonly Item[],
  columns: Readonly<Record<string, Column<Item>>>,
): RawBuilder<unknown> {
  const arrays = Object.values(columns).map(
    ([type, value]) => sql`${items.map((item) => value(item))}::${sql.raw(type)}[]`,
  );
  const names = [...Object.keys(columns), 'ordinal'].map((column) => sql.ref(column));
  return sql`unnest(${sql.join(arrays)}) with ordinality as ${sql.ref(name)} (${sql.join(names)})`;
}

/**
 * Texts as the rows `text, ordinal` of a table, like {@link tableOf}, for what may be long: they travel as one value. To quote megabytes
 * into an array and out of it again takes longer than all the rest, and text is copied on its way where bytes are not.
 */
export function textsOf(name: string, texts: readonly (string | null)[]): RawBuilder<unknown> {
  const bytes = texts.map((text) => (text === null ? null : Buffer.from(text)));
  let end = 1;
  const starts = bytes.map((each) => (end += each?.length ?? 0) - (each?.length ?? 0));
  const lengths = bytes.map((each) => each?.length ?? null);
  const all = Buffer.concat(bytes.filter((each) => each !== null));
  return sql`(
    select convert_from(substr(${all}::bytea, start, length), 'UTF8') as text, ordinal
    from unnest(${starts}::int[], ${lengths}::int[]) with ordinality as t (start, length, ordinal)) as ${sql.ref(name)}`;
}
