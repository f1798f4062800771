import './typescript-imports.cjs';
import { stopStores } from './stores.js';

/** After the last test of a run: stops what the setup started, and nothing else. */
async function globalTeardown(): Promise<void> {
  await stopStores();
}

export = globalTeardown;
