import { type RawBuilder, sql } from 'kysely';

/** In characters. A statement that carries more is worth a transaction of its own: who comes with it would wait for its bytes. */
export const LARGE_TEXT = 65_536;

/** What one row has in one column. */
type Cell = string | number | boolean | null | undefined;

/** A column of a table that a statement is given: its SQL type, and its value for each item and its place, from 0. */
export type Column<Item> = readonly [type: string, value: (item: Item, place: number) => Cell];
export type Columns<Item> = Readonly<Record<string, Column<Item>>>;

/**
 * Items as the rows of a table in the `from` of a statement: one array for each column, so that the statement's text is the same for
 * any number of items and is prepared once. `ordinal` is each item's place, from 1.
 */
export function tableOf<Item>(
  name: string,
  items: readonly Item[],
  columns: Columns<Item>,
): RawBuilder<unknown> {
  // It is enough that one of them is unseen: of arrays side by side the longest counts.
  const arrays = Object.values(columns).map(([type, value], i) =>
    (i === 0 ? unseen : plain)(arrayOf(items.map(value)), type),
  );
  const names = [...Object.keys(columns), 'ordinal'].map((column) => sql.ref(column));
  return sql`unnest(${sql.join(arrays)}) with ordinality as ${sql.ref(name)} (${sql.join(names)})`;
}

/**
 * An array that the planner does not look into, so that it makes one plan and keeps it. Where it sees how short an array is, a plan for just
 * that one seems cheaper, and it plans the statement anew each time it is sent, which takes as long as a small group's statement itself.
 */
export function unseen(array: string | readonly string[], type: string): RawBuilder<unknown> {
  return sql`(select ${plain(array, type)})::${sql.raw(type)}[]`;
}

function plain(array: string | readonly string[], type: string): RawBuilder<unknown> {
  return sql`${array}::${sql.raw(type)}[]`;
}

/** An array as PostgreSQL reads it: https://www.postgresql.org/docs/18/arrays.html#ARRAYS-INPUT. */
function arrayOf(cells: readonly Cell[]): string {
  return `{${cells.map(elementOf).join(',')}}`;
}

function elementOf(cell: Cell): string {
  if (cell === null || cell === undefined) return 'NULL';
  if (typeof cell !== 'string') return String(cell);
  // Most have nothing to escape, and to look is cheaper than to replace nothing.
  return `"${/["\\]/.test(cell) ? cell.replace(/["\\]/g, '\\$&') : cell}"`;
}

/** The columns of one part of each item, their names with this prefix; null of an item that has no such part. */
export function columnsOf<Item, Part>(
  prefix: string,
  part: (item: Item) => Part | null,
  columns: Columns<Part>,
): Columns<Item> {
  return Object.fromEntries(
    Object.entries(columns).map(([name, [type, value]]): [string, Column<Item>] => [
      `${prefix}${name}`,
      [
        type,
        (item, place) => {
          const its = part(item);
          return its === null ? null : value(its, place);
        },
      ],
    ]),
  );
}

/**
 * Texts that may be long, as columns of {@link tableOf}: they travel as one value, and the table tells where each of them is in it. To
 * quote megabytes into an array and out of it again takes longer than all the rest, and text is copied on its way where bytes are not.
 */
export class LongTexts {
  private readonly bytes: readonly (Buffer | null)[];

  constructor(texts: readonly (string | null)[]) {
    this.bytes = texts.map((text) => (text === null ? null : Buffer.from(text)));
  }

  get columns(): Columns<unknown> {
    let end = 1;
    const starts = this.bytes.map((each) => (end += each?.length ?? 0) - (each?.length ?? 0));
    return {
      text_start: ['int', (_item, place) => starts[place]],
      text_length: ['int', (_item, place) => this.bytes[place]?.length ?? null],
    };
  }

  /** The text of a row of a table that has these columns; null where there is none. */
  get text(): RawBuilder<string | null> {
    const all = Buffer.concat(this.bytes.filter((each) => each !== null));
    return sql`convert_from(substr(${all}::bytea, text_start, text_length), 'UTF8')`;
  }
}
