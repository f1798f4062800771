/** A whole Baton in the test's own process: real HTTP on a port of the system's choice, a database of its own, both roles. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Baton, startBaton } from '../../src/baton.js';
import { readConfig } from '../../src/config/read-config.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { BatonClient } from './baton-client.js';
import { createTestDatabase, type TestDatabase } from './test-database.js';

export type { AttemptReply, JobReply, Reply } from './baton-client.js';

declare const QUEUE_BACKEND: 'redis' | 'postgres';

export const TEST_KEY = 'a-key-for-the-tests';

export interface TestBatonOptions {
  /** Over the environment of a test: no Redis or Redis as the project says, loopback open for webhooks. */
  readonly env?: Record<string, string>;
  /** What stands in `baton.yaml`. */
  readonly file?: object;
  /** A database that goes on after this Baton; without it each Baton has a new one. */
  readonly database?: TestDatabase;
}

export class TestBaton extends BatonClient {
  private constructor(
    readonly baton: Baton,
    readonly database: TestDatabase,
    private readonly folder: string,
    private readonly ownsDatabase: boolean,
  ) {
    super(baton.url, TEST_KEY);
  }

  static async start(options: TestBatonOptions = {}): Promise<TestBaton> {
    const database = options.database ?? (await createTestDatabase());
    const folder = await mkdtemp(join(tmpdir(), 'baton-test-'));
    if (options.file) await writeFile(join(folder, 'baton.yaml'), stringify(options.file));
    const env = {
      PORT: '0',
      BATON_ADMIN_KEY: TEST_KEY,
      BATON_DATA_DIR: folder,
      DATABASE_URL: database.url,
      EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
      LOG_LEVEL: 'fatal',
      SHUTDOWN_GRACE_MS: '1000',
      ...(QUEUE_BACKEND === 'redis' ? { REDIS_URL: process.env['TEST_REDIS_URL'] ?? '' } : {}),
      ...options.env,
    };
    const { config, problems } = readConfig(env, folder);
    if (!config) throw new Error(problems.join('\n'));
    const baton = await startBaton(config, createLogger(config.logLevel));
    return new TestBaton(baton, database, folder, options.database === undefined);
  }

  async stop(): Promise<void> {
    await this.baton.stop();
    await rm(this.folder, { recursive: true, force: true });
    if (this.ownsDatabase) await this.database.drop();
  }
}
