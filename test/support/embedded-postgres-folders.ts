/** Data folders for tests of the embedded PostgreSQL, and the clearing up after them. */
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clearLeftover } from '../../src/storage/embedded-leftover.js';
import { killOwners, Owner, query } from './embedded-postgres-owner.js';

export interface DataFolders {
  /** The path of a data folder to be, below one that other users may pass through. */
  newDataDir(): Promise<string>;
  /** The path of a data folder that a Baton has used: its table `t` has the rows 1 to 10. */
  usedDataDir(): Promise<string>;
}

/** Gives a spec file its data folders; they go after each test, with what still runs in them. */
export function useDataFolders(): DataFolders {
  const folders: string[] = [];
  let used = '';

  const newDataDir = async (): Promise<string> => {
    const folder = await mkdtemp('/tmp/baton-embedded-');
    folders.push(folder);
    await chmod(folder, 0o755);
    return join(folder, 'data');
  };
  const usedDataDir = async (): Promise<string> => {
    const dataDir = await newDataDir();
    await cp(used, dataDir, { recursive: true });
    await chmod(dataDir, 0o711);
    return dataDir;
  };

  beforeAll(async () => {
    used = await newDataDir();
    folders.length = 0;
    const owner = new Owner(used);
    const connectionString = await owner.until('ready');
    await query(
      connectionString,
      'CREATE TABLE t (n int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)',
    );
    await owner.stop();
  });
  afterEach(async () => {
    await killOwners();
    for (const folder of folders.splice(0)) {
      await clearLeftover(join(folder, 'data/postgres/data'), () => undefined);
      await rm(folder, { recursive: true, force: true });
    }
  });
  afterAll(async () => {
    await rm(join(used, '..'), { recursive: true, force: true });
  });
  return { newDataDir, usedDataDir };
}
