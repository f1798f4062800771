/** The embedded server's files: made whole or not at all, and owned by whom the server runs as. */
import { randomBytes } from 'node:crypto';
import { chmodSync, lchownSync, lstatSync, readdirSync } from 'node:fs';
import { mkdtemp, open, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerBinaries } from './embedded-binaries.js';
import { EmbeddedServerError } from './embedded-error.js';
import { hasCode, readIfThere } from './embedded-files.js';
import { isRoot, runProgram, type FinishedProgram, type ServerUser } from './embedded-user.js';

/** Where things are below `<data dir>/postgres`. */
export interface Cluster {
  readonly home: string;
  /** PostgreSQL's own data directory. */
  readonly data: string;
  readonly passwordFile: string;
}

/** The role that Baton works as, no superuser, and its database of the same name. */
export const ROLE = 'baton';

const DRAFT = 'postgres.new-';
// Kept in postgresql.conf, where an operator may change them.
const SETTINGS = [
  'max_connections=200',
  'shared_buffers=128MB',
  'timezone=UTC',
  'log_timezone=UTC',
  'jit=off',
  // What a client is told as an error is not logged as well; what nobody is told is.
  'log_min_messages=log',
  'log_checkpoints=off',
];

/** The real paths of the cluster in this data folder: an operator may have put a link to another disk there. */
export async function clusterIn(dataDir: string): Promise<Cluster> {
  const place = join(dataDir, 'postgres');
  const home = await realpath(place).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return place;
    throw error;
  });
  return { home, data: join(home, 'data'), passwordFile: join(home, 'password') };
}

/** The major version that made the cluster (`18`); null if there is none yet. Throws what the file system throws. */
export async function clusterVersion(cluster: Cluster): Promise<string | null> {
  return (await readIfThere(join(cluster.data, 'PG_VERSION')))?.trim() ?? null;
}

/**
 * Makes a new cluster with Baton's role and database. It appears in its place when it is complete and on the disk;
 * interrupted before that, it leaves a draft that the next call removes.
 * Throws {@link EmbeddedServerError} if PostgreSQL can't make it.
 */
export async function createCluster(
  dataDir: string,
  cluster: Cluster,
  binaries: ServerBinaries,
  user: ServerUser,
): Promise<void> {
  await assertVacant(cluster.home);
  await removeDrafts(dataDir);
  const draft = await mkdtemp(join(dataDir, DRAFT));
  try {
    giveTo(user, draft);
    const data = join(draft, 'data');
    const password = randomBytes(24).toString('hex');
    await initialise(binaries, user, data, password);
    await writeFile(join(data, 'pg_hba.conf'), 'local all baton scram-sha-256\n', { flush: true });
    await writeFile(join(draft, 'password'), password, { mode: 0o600, flush: true });
    giveTo(user, draft);
    await flushFolder(draft);
    await rename(draft, cluster.home);
    await flushFolder(dataDir);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Makes the folder and all in it the server's and closed to others, as PostgreSQL demands. Root may have made or edited
 * files there, and may have run the server as another user before. Nothing of it may be running.
 */
export function claimCluster(cluster: Cluster, user: ServerUser): void {
  giveTo(user, cluster.home);
  chmodSync(cluster.home, 0o700);
  chmodSync(cluster.data, 0o700);
}

/** Gives a file or folder, and all in it, to the server's user. Only root can, and only root need. */
function giveTo(user: ServerUser, path: string): void {
  if (!isRoot()) return;
  const stats = lstatSync(path);
  if (stats.uid !== user.uid || stats.gid !== user.gid) lchownSync(path, user.uid, user.gid);
  if (!stats.isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(user, join(path, name));
}

async function initialise(
  binaries: ServerBinaries,
  user: ServerUser,
  data: string,
  password: string,
): Promise<void> {
  const made = await runProgram(user, binaries.initdb, [
    `--pgdata=${data}`,
    '--username=postgres',
    '--auth=reject', // the superuser can't log in at all
    '--encoding=UTF8',
    // Built in since PostgreSQL 17: the same order and letter case on every machine.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...SETTINGS.flatMap((setting) => ['--set', setting]),
  ]);
  assertDone(made, data);
  // A server for one process, without a door: the role and its database are there before anyone can come.
  const filled = await runProgram(
    user,
    binaries.postgres,
    ['--single', '-D', data, '-c', 'exit_on_error=on', 'postgres'],
    `CREATE ROLE ${ROLE} LOGIN CREATEDB PASSWORD '${password}'\nCREATE DATABASE ${ROLE} OWNER ${ROLE}\n`,
  );
  assertDone(filled, data);
}

function assertDone({ code, output }: FinishedProgram, data: string): void {
  if (code === 0) return;
  const reason = output.trim().split('\n').slice(-6).join(' | ');
  const advice = output.includes('No space left')
    ? 'Free some space, or set BATON_DATA_DIR to a folder on another disk.'
    : 'Set BATON_DATA_DIR to another folder, or DATABASE_URL to use a PostgreSQL server of your own.';
  throw new EmbeddedServerError(`Cannot make a PostgreSQL database in ${data}: ${reason}. ${advice}`);
}

async function assertVacant(home: string): Promise<void> {
  const names = await readdir(home).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
  if (names.length === 0) return; // the draft takes the place of an empty folder too
  throw new EmbeddedServerError(
    `${home} has files in it, but no PostgreSQL database. Move them away, or set BATON_DATA_DIR to another folder.`,
  );
}

async function removeDrafts(dataDir: string): Promise<void> {
  const drafts = (await readdir(dataDir)).filter((name) => name.startsWith(DRAFT));
  for (const name of drafts) await rm(join(dataDir, name), { recursive: true, force: true });
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
