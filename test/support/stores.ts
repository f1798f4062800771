/**
 * The stores of one test run: a real PostgreSQL and a real Redis, shared by all projects and all workers of it.
 * Each is started at most once, however many projects ask, and only if its address is not given.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.js';
import { startRedis } from './redis-server.js';

export interface StoreAddresses {
  /** A PostgreSQL on which test files make databases of their own. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
}

let started: Promise<StoreAddresses> | null = null;
/** What has to be stopped, the last started first. */
const stops: Array<() => Promise<void>> = [];

/**
 * Addresses of the stores; starts those that `TEST_DATABASE_URL` and `TEST_REDIS_URL` don't name.
 * Throws if one cannot be had, and then leaves nothing running.
 */
export async function startStores(): Promise<StoreAddresses> {
  if (started === null) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stopAndLeave);
    started = startMissing();
  }
  try {
    return await started;
  } catch (error) {
    await stopStores();
    throw error;
  }
}

/** Stops what {@link startStores} started. */
export async function stopStores(): Promise<void> {
  started = null;
  for (const stop of stops.splice(0).reverse()) await stop();
}

/** A run that is interrupted has no teardown. */
function stopAndLeave(): void {
  void stopStores().finally(() => process.exit(130));
}

async function startMissing(): Promise<StoreAddresses> {
  const redisUrl = process.env['TEST_REDIS_URL'] || (await startOwnRedis());
  const postgresUrl = process.env['TEST_DATABASE_URL'] || (await startOwnPostgres());
  return { postgresUrl, redisUrl };
}

async function startOwnRedis(): Promise<string> {
  const redis = await startRedis();
  stops.push(() => redis.stop());
  return redis.url;
}

async function startOwnPostgres(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-test-postgres-'));
  stops.push(() => rm(dataDir, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => undefined });
  stops.push(() => postgres.stop());
  return postgres.connectionString;
}
