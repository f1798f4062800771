import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { AppConfig } from '../config/config.js';
import { keptSecret } from '../storage/kept-secret.js';

/** Random bytes of a key that Baton makes: 256 bits. */
const KEY_BYTES = 32;
const SHORTEST_KEY = 16;

/** The operator's key and where it can be read. */
export interface AdminKey {
  readonly key: string;
  /** The file that holds it; null when it came from the environment. */
  readonly path: string | null;
  /** True at the one start that made it. */
  readonly isNew: boolean;
}

/**
 * Gives the admin key: `BATON_ADMIN_KEY`, else the one in `<data dir>/admin-key`, which is made at the first start with
 * mode 0600. Two processes that start at once on one folder end with the same key. Throws when the file can't be
 * written, or holds no key.
 */
export async function loadAdminKey(config: AppConfig): Promise<AdminKey> {
  if (config.adminKey !== null) return { key: config.adminKey, path: null, isNew: false };
  const path = join(config.dataDir, 'admin-key');
  const { text, isNew } = await keptSecret(
    path,
    () => `baton_${randomBytes(KEY_BYTES).toString('base64url')}`,
  );
  if (text.length >= SHORTEST_KEY) return { key: text, path, isNew };
  throw new Error(
    `${path} holds no admin key: delete the file to have a new one made, or set BATON_ADMIN_KEY`,
  );
}
