import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';

/** What stops may not have said its last word to the queue; without a database it would try for ever. */
const LAST_WORDS_MS = 10_000;

export interface TestDatabase {
  /** Connection string of a database that nothing else uses; it is empty. */
  readonly url: string;
  /** Cuts every connection to it and lets none in for so long, as a database that restarts does. */
  shut(forMs: number): Promise<void>;
  /** Drops it once nobody is connected to it any more, and after ten seconds whoever still is. */
  drop(): Promise<void>;
}

/** Makes a fresh database on the run's PostgreSQL (`TEST_POSTGRES_URL`). Throws if that is not set or not there. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = process.env['TEST_POSTGRES_URL'];
  if (server === undefined)
    throw new Error('TEST_POSTGRES_URL is not set: the global setup of the tests sets it.');
  const name = `baton_test_${randomBytes(8).toString('hex')}`;
  // template0: nobody may be connected to a template while it is copied, and nobody ever is to this one.
  await runOn(server, `CREATE DATABASE ${name} TEMPLATE template0`);
  const cutOff = async (): Promise<void> => {
    await runOn(server, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    // Not the server's own processes there, such as autovacuum, which only a superuser may end.
    await runOn(
      server,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND usename = current_user`,
    );
  };
  return {
    url: withDatabase(server, name),
    shut: async (forMs) => {
      await cutOff();
      await delay(forMs);
      await runOn(server, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    },
    // Not WITH (FORCE), which is refused while autovacuum is there; without it the server sends autovacuum away itself.
    drop: async () => {
      const endMs = performance.now() + LAST_WORDS_MS;
      const isInUse = `SELECT FROM pg_stat_activity WHERE datname = '${name}' AND usename = current_user`;
      while ((await runOn(server, isInUse)) > 0 && performance.now() < endMs) await delay(50);
      await cutOff();
      await runOn(server, `DROP DATABASE ${name}`);
    },
  };
}

function withDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.toString();
}

/** Answers how many rows came of it. */
async function runOn(connectionString: string, sql: string): Promise<number> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(sql)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}
