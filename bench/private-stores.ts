/** A PostgreSQL and a Redis for one measurement alone, as durable as in production. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../src/storage/embedded-postgres.js';
import { startRedis } from '../test/support/redis-server.js';
import type { CleanUp } from './clean-up.js';
import { cpuMicros, serverOf } from './cpu.js';

export interface PrivateStores {
  readonly redisUrl: string;
  /** Makes an empty database and gives its connection string. */
  createDatabase(name: string): Promise<string>;
  /** CPU time that both stores have used so far, in microseconds; null where it can't be told. */
  cpuMicros(): number | null;
}

/** Starts both stores below `folder`; `cleanUp` stops them. */
export async function startPrivateStores(folder: string, cleanUp: CleanUp): Promise<PrivateStores> {
  const redisFolder = join(folder, 'redis');
  await mkdir(redisFolder);
  const redis = await startRedis({ appendonly: true, directory: redisFolder });
  cleanUp.later(() => redis.stop());
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), log: () => undefined });
  cleanUp.later(() => postgres.stop());
  const client = new Client({ connectionString: postgres.connectionString });
  await client.connect();
  cleanUp.later(() => client.end());
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const connectionPid = rows[0]?.pid ?? 0;
  return {
    redisUrl: redis.url,
    createDatabase: async (name) => {
      await client.query(`create database ${name}`);
      const url = new URL(postgres.connectionString);
      url.pathname = `/${name}`;
      return url.toString();
    },
    cpuMicros: () => cpuMicros([redis.pid, ...serverOf(connectionPid)]),
  };
}
