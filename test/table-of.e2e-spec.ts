/** What a statement is given as a table, read back by a real PostgreSQL. */
import fc from 'fast-check';
import { sql } from 'kysely';
import { openDatabase, type Database } from '../src/storage/database.js';
import { tableOf } from '../src/storage/table-of.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, () => undefined);
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

interface Item {
  readonly text: string | null;
  readonly count: number | null;
  readonly share: number;
  readonly isSo: boolean | undefined;
}

async function readBack(items: readonly Item[]): Promise<unknown[]> {
  const table = tableOf<Item>('given', items, {
    text: ['text', ({ text }) => text],
    count: ['int', ({ count }) => count],
    share: ['double precision', ({ share }) => share],
    is_so: ['boolean', ({ isSo }) => isSo],
    place: ['int', (_item, place) => place],
  });
  const { rows } = await sql`select text, count, share, is_so as "isSo", place, ordinal::int from ${table}
    order by ordinal`.execute(db);
  return rows;
}

function told(items: readonly Item[]): unknown[] {
  return items.map((item, place) => ({ ...item, isSo: item.isSo ?? null, place, ordinal: place + 1 }));
}

it.each([
  'NULL', 'null', '', ' ', '{}', '{a,b}', '"', '\\', '\\"', 'a\nb\r\tc', "it's", '💡 żółć', ',', '\\N', '(1,2)', '\u2028',
])('a text %j comes back as it was', async (text) => {
  const items = [
    { text, count: 1, share: 0.5, isSo: true },
    { text: null, count: null, share: -1e-9, isSo: undefined },
  ];
  expect(await readBack(items)).toEqual(told(items));
}); // prettier-ignore

it('whatever is told comes back as it was, in its order', async () => {
  // PostgreSQL has no character 0, and UTF-8 has no half of a pair.
  const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0') && each.isWellFormed());
  const item = fc.record({
    text: fc.option(text),
    count: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    share: fc.double({ noNaN: true, noDefaultInfinity: true }).map((each) => each + 0),
    isSo: fc.option(fc.boolean(), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 40 }), async (items) => {
      expect(await readBack(items)).toEqual(told(items));
    }),
    { numRuns: 200 },
  );
});
