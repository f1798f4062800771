import { type Kysely, sql } from 'kysely';

/**
 * Lines of batches are rung in the order of the input: a batch keeps up to which of its lines that is, and no line is written for it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table batch_runs
    -- The last line, by its id, that is rung; null if none is.
    add column rung_to uuid,
    -- What that was at aged_at. Lines up to there that are not heard a while later are rung again.
    add column aged_to uuid,
    add column aged_at timestamptz`,
  `alter table batch_runs set (fillfactor = 50)`,
];
