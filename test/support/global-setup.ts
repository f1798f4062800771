import './typescript-imports.cjs';
import { startStores } from './stores.js';

/** Before the first test of a run: the stores, and their addresses in the environment that jest's workers inherit. */
async function globalSetup(): Promise<void> {
  const { postgresUrl, redisUrl } = await startStores();
  process.env['TEST_POSTGRES_URL'] = postgresUrl;
  process.env['TEST_REDIS_URL'] = redisUrl;
}

export = globalSetup;
