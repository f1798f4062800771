/** The server's only door: a Unix socket in a folder that nobody but the server and Baton may enter. */
import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedServerError } from './embedded-error.js';
import { hasCode } from './embedded-files.js';
import { isRoot, type ServerUser } from './embedded-user.js';

export const SOCKET_PORT = 5432;
const SOCKET = `.s.PGSQL.${SOCKET_PORT}`;
// sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
const MAX_SOCKET_PATH_BYTES = 103;

/**
 * Makes the folder for the socket, empty: `<home>/run`, or a private one in `/tmp` if that would be too long for a socket's
 * path. Not in `TMPDIR`: that may be long too, or closed to the server's user.
 * Throws {@link EmbeddedServerError} if a folder of that name in `/tmp` is somebody else's.
 */
export async function makeSocketFolder(
  home: string,
  user: ServerUser,
): Promise<{ folder: string; isTemporary: boolean }> {
  const inside = join(home, 'run');
  const isTemporary = Buffer.byteLength(join(inside, SOCKET)) > MAX_SOCKET_PATH_BYTES;
  const folder = isTemporary ? join('/tmp', `baton-${hashOf(`${home} ${user.uid}`)}`) : inside;
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error;
  });
  const uid = await assertPrivate(folder, user);
  if (uid !== user.uid) await chown(folder, user.uid, user.gid);
  // What a killed server left: it would be taken for a living one's if its process id is in use again.
  for (const name of await readdir(folder)) if (name.startsWith(SOCKET)) await rm(join(folder, name));
  return { folder, isTemporary };
}

/** Gives the owner of a folder that is ours alone. */
async function assertPrivate(folder: string, user: ServerUser): Promise<number> {
  const stats = await lstat(folder);
  const isOurs = stats.uid === user.uid || (isRoot() && stats.uid === 0);
  if (stats.isDirectory() && isOurs && (stats.mode & 0o077) === 0) return stats.uid;
  throw new EmbeddedServerError(
    `${folder} should be a folder that only Baton may enter, but it is not. Remove it, or set BATON_DATA_DIR to a folder with a shorter path.`,
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
