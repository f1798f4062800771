/** A network that swallows what is sent: connections to PostgreSQL that carry nothing any more are found, and only those. */
import { sql } from 'kysely';
import { isDatabaseOutage } from '../../src/storage/database-outage.js';
import { type Database, openDatabase } from '../../src/storage/database.js';
import { postgresBehindProxy, type Proxied } from '../support/behind-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

jest.setTimeout(60_000);

let database: TestDatabase;
let behind: Proxied;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  behind = await postgresBehindProxy(database.url);
  db = openDatabase(behind.url, () => undefined);
});
afterAll(async () => {
  await db.destroy();
  await behind.proxy.close();
  await database.drop();
});

it('a statement that takes long is left alone', async () => {
  const { rows } = await sql<{ done: boolean }>`select pg_sleep(9) is not null as done`.execute(db);
  expect(rows).toEqual([{ done: true }]);
});

it('a statement whose answer never comes fails as an outage within 15 s, and the next one works', async () => {
  await sql`select 1`.execute(db);
  behind.proxy.timeout('down');
  const sentMs = Date.now();
  const error = await sql`select 1`.execute(db).catch((thrown: unknown) => thrown);
  expect(isDatabaseOutage(error)).toBe(true);
  expect(Date.now() - sentMs).toBeLessThan(15_000);
  await behind.proxy.restore();
  await expect(sql<{ one: number }>`select 1 as one`.execute(db)).resolves.toMatchObject({
    rows: [{ one: 1 }],
  });
});
