import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode, readIfThere } from './embedded-files.js';

/**
 * The line that the file at `path` holds. If there is no file, `make` says what it shall hold, and it is made with mode
 * 0600. Of processes that start at once on one folder one makes it, and all get the same. Throws what the file system
 * throws.
 */
export async function keptSecret(
  path: string,
  make: () => string,
): Promise<{ text: string; isNew: boolean }> {
  const kept = await readLine(path);
  if (kept !== null) return { text: kept, isNew: false };
  // Others may pass through, for the embedded PostgreSQL may run as another user; what is in it is closed to them.
  await mkdir(dirname(path), { recursive: true, mode: 0o711 });
  // Written whole and to the disk beside it, then linked: nobody reads half a secret, and of several makers one wins.
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  let isNew = true;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(`${make()}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    isNew = false;
  } finally {
    await rm(draft, { force: true });
  }
  const text = await readLine(path);
  if (text === null) throw new Error(`The secret at ${path} vanished while it was made`);
  return { text, isNew };
}

async function readLine(path: string): Promise<string | null> {
  return (await readIfThere(path))?.trim() ?? null;
}
