/** The queue's own connection to PostgreSQL, made while that is away. */
import { setTimeout as delay } from 'node:timers/promises';
import { EnduringConnection } from '../../src/queue/postgres-connection.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let connection: EnduringConnection;
const errors: Error[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await connection.close();
  await database.drop();
});

it('is made all the same, and stands once the database is back', async () => {
  const away = database.shut(700);
  await delay(200);
  connection = new EnduringConnection({ connectionString: database.url });
  connection.on('error', (error: Error) => errors.push(error));
  await connection.waitUntilReady();
  await away;
  expect(errors.length).toBeGreaterThan(0);
  // Each try waits longer than the one before.
  expect(errors.length).toBeLessThan(10);
  const { rows } = await connection.pool.query(
    "select count(*)::int as count from information_schema.tables where table_schema = 'bullmq'",
  );
  expect(rows[0]).not.toEqual({ count: 0 });
});
