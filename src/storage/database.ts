/**
 * Storage: Postgres, Baton's memory: pool, transactions, migrations; and the embedded server. It knows no feature:
 * each room keeps its own SQL in its repository.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Kysely,
  type Migration,
  Migrator,
  PostgresDialect,
  type PostgresPool,
  sql,
  type Transaction,
} from 'kysely';
import pg from 'pg';
import * as foundation from './migrations/0001-foundation.js';
import * as routing from './migrations/0002-routing.js';
import * as batches from './migrations/0003-batches.js';
import * as webhooks from './migrations/0004-webhooks.js';
import * as keeping from './migrations/0005-keeping.js';
import * as lighterRows from './migrations/0006-lighter-rows.js';
import * as rungInOrder from './migrations/0007-rung-in-order.js';
import { PreparedClient } from './clients.js';
import { ConnectionLine } from './connection-line.js';
import type { Schema } from './schema.js';

/** The pool through which all SQL goes. */
export type Database = Kysely<Schema>;
/** What a repository takes that may also run inside another's transaction. */
export type DatabaseOrTransaction = Kysely<Schema> | Transaction<Schema>;
/** The injection token of the {@link Database}. */
export const DATABASE = Symbol('Database');

/** The name under which a migration is remembered; its order is the order of the names. Never rename one. */
const MIGRATIONS = {
  '0001-foundation': foundation,
  '0002-routing': routing,
  '0003-batches': batches,
  '0004-webhooks': webhooks,
  '0005-keeping': keeping,
  '0006-lighter-rows': lighterRows,
  '0007-rung-in-order': rungInOrder,
};

const POOL_SIZE = 20;
/** How long a caller waits for a free connection before the request is turned away. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A transaction that does nothing for so long has lost its process. */
const LONGEST_PAUSE_MS = 20_000;
/**
 * What a process that is gone had begun must not hold up others until the network notices. And a plan that is made while a table is
 * empty, and kept, must still be good when it has a million rows: each of our statements has its index, so no table is read through
 * where there is one.
 */
const SETTINGS = `set idle_in_transaction_session_timeout = ${LONGEST_PAUSE_MS}; set enable_seqscan = off`;

/**
 * Opens the pool. Nothing is connected yet; call {@link migrate} before use. `onError` hears of idle connections that break;
 * who waits for a connection stands in `line`.
 */
export function openDatabase(
  connectionString: string,
  onError: (error: Error) => void,
  line = new ConnectionLine(),
): Database {
  const pool = new pg.Pool({
    connectionString,
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'baton',
    Client: PreparedClient,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  });
  pool.on('error', onError);
  pool.on('connect', (client) => {
    client.query(SETTINGS).catch(() => undefined);
  });
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: inLine(pool, line) }) });
}

function inLine(pool: pg.Pool, line: ConnectionLine): PostgresPool {
  // Whose connection is just being made does not wait for others.
  const isFull = () => pool.totalCount >= POOL_SIZE && pool.idleCount === 0;
  return { connect: () => line.wait(() => pool.connect(), isFull()), end: () => pool.end() };
}

/** Less than PostgreSQL's own `deadlock_timeout` (1 s): of two that wait for each other the migration is the one that yields. */
const LOCK_TIMEOUT = '500ms';
const LOCK_NOT_AVAILABLE = '55P03';
const LONGEST_MIGRATION_MS = 120_000;
const LONGEST_RETRY_MS = 2_000;

/**
 * Brings the tables up to date; safe when several processes start at once, and while others work on them: a migration that finds a
 * table in use takes all back and comes again. Throws when the database is newer than this Baton.
 */
export async function migrate(db: Database): Promise<void> {
  const migrations = Object.fromEntries(
    Object.entries(MIGRATIONS).map(([name, migration]) => [name, yielding(migration)]),
  );
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
  const endsMs = performance.now() + LONGEST_MIGRATION_MS;
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, LONGEST_RETRY_MS)) {
    const { error } = await migrator.migrateToLatest();
    if (!error) return;
    if (!isLockTimeout(error) || performance.now() > endsMs)
      throw error instanceof Error ? error : new Error('The migration failed', { cause: error });
    await sleep(pauseMs);
  }
}

function yielding(migration: Migration): Migration {
  return {
    up: async (db) => {
      await sql.raw(`set local lock_timeout = '${LOCK_TIMEOUT}'`).execute(db);
      await migration.up(db);
    },
  };
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === LOCK_NOT_AVAILABLE;
}

/** The random id that this database was given when it was made; the same for all processes that share it. */
export async function installationId(db: Database): Promise<string> {
  const row = await db.selectFrom('installation').select('id').executeTakeFirstOrThrow();
  return row.id;
}

/** bigint columns hold tokens, millionths of dollars and milliseconds: all below 2^53, so they are read as numbers. */
function parserOf(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === pg.types.builtins.INT8) return Number;
  return pg.types.getTypeParser(oid, format);
}
