import type { ColumnType } from 'kysely';

/** Written and read as a Date, made by the database when it is left out. */
export type Created = ColumnType<Date, Date | undefined, never>;
/** Read as a parsed value, written as JSON text. */
export type Json<T> = ColumnType<T, string, string>;
