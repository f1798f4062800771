/**
 * As whom PostgreSQL runs. It refuses root; so when Baton is root, it runs as another user, or as root's own user id in a
 * user namespace, where that id goes by another number. Which of them can work is tried, not guessed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { platform } from 'node:os';
import { EmbeddedServerError } from './embedded-error.js';

/** A way to run PostgreSQL's programs. */
export interface ServerUser {
  /** Who must own the server's files, as this process sees it. */
  readonly uid: number;
  readonly gid: number;
  /** What goes before a program's name. */
  readonly prefix: readonly string[];
  /** Whether a program can be made to get a signal when Baton dies (Linux with util-linux). */
  readonly hasDeathSignal: boolean;
  /** Said to people. */
  readonly name: string;
}

export interface FinishedProgram {
  /** Null if it was ended by a signal or could not be started. */
  readonly code: number | null;
  /** What it wrote, both streams. */
  readonly output: string;
}

// Nothing of Baton's environment goes to the server: keys are in there, and PGPORT and others would change it.
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/**
 * Chooses as whom the server runs: ourselves, or if we are root the first of the present owner of `folder`, `nobody`
 * and root in a user namespace that can enter `dataDir` and run `postgres`.
 * Gives PostgreSQL's version too (`18.4`). Throws {@link EmbeddedServerError} if none can.
 */
export async function chooseServerUser(options: {
  readonly postgres: string;
  readonly dataDir: string;
  /** The server's files, or where they will be: their owner is asked first, so that they can stay that user's. */
  readonly folder: string;
}): Promise<{ user: ServerUser; version: string }> {
  const failures: string[] = [];
  for (const user of await candidates(options.folder)) {
    const probe = await runProgram(user, 'sh', [
      '-c',
      'cd "$0" && exec "$1" -V',
      options.dataDir,
      options.postgres,
    ]);
    const version = /\(PostgreSQL\) (\d+(?:\.\d+)?)/.exec(probe.output)?.[1];
    if (probe.code === 0 && version !== undefined) return { user, version };
    failures.push(`as ${user.name}: ${probe.output.trim() || 'it ended without a word'}`);
  }
  const reasons = failures.join('; ');
  if (!isRoot()) {
    throw new EmbeddedServerError(
      `Cannot run the embedded PostgreSQL (${reasons}). Set DATABASE_URL to use a PostgreSQL server of your own.`,
    );
  }
  throw new EmbeddedServerError(
    `PostgreSQL refuses to run as root, and no other way to run it works here (${reasons}). Run Baton as an ordinary user, or move its checkout and BATON_DATA_DIR (${options.dataDir}) out of folders that only root may enter, or set DATABASE_URL to use a PostgreSQL server of your own.`,
  );
}

/**
 * Starts a program as that user, in a session of its own: a Ctrl-C in the terminal does not reach it.
 * `deathSignal` is what it gets if Baton dies first, where the system can do that.
 */
export function startProgram(
  user: ServerUser,
  program: string,
  args: readonly string[],
  deathSignal: 'INT' | 'KILL',
): ChildProcess {
  const lifeline = user.hasDeathSignal ? ['setpriv', '--pdeathsig', deathSignal, '--'] : [];
  const [command = program, ...rest] = [...user.prefix, ...lifeline, program, ...args];
  const isOther = isRoot() && user.uid !== 0;
  return spawn(command, rest, {
    ...(isOther ? { uid: user.uid | 0, gid: user.gid | 0 } : {}), // `| 0`: macOS' nobody is -2 here
    cwd: '/',
    env: ENVIRONMENT,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs a program to its end, with `input` on its standard input. A program that can't be started is a `code` of null. */
export async function runProgram(
  user: ServerUser,
  program: string,
  args: readonly string[],
  input = '',
): Promise<FinishedProgram> {
  let output = '';
  const gather = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  try {
    const child = startProgram(user, program, args, 'KILL');
    child.stdout?.on('data', gather);
    child.stderr?.on('data', gather);
    child.stdin?.on('error', () => undefined); // it may end before it has read all
    child.stdin?.end(input);
    await once(child, 'close');
    return { code: child.exitCode, output };
  } catch (error) {
    return { code: null, output: `${output}${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Whether this process is root, whom PostgreSQL refuses. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

async function candidates(folder: string): Promise<ServerUser[]> {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  const self = { uid, gid, prefix: [], hasDeathSignal: false, name: `user id ${uid}` };
  const hasDeathSignal = platform() === 'linux' && (await canGiveDeathSignal(self));
  if (!isRoot()) return [{ ...self, hasDeathSignal }];

  const nobody = await idsOfNobody();
  const owner = await ownerOf(folder);
  const ids = owner.uid === 0 || owner.uid === nobody.uid ? [nobody] : [owner, nobody];
  const users = ids.map((one) => ({ ...one, prefix: [], hasDeathSignal, name: `user id ${one.uid}` }));
  const prefix = ['unshare', '--user', `--map-user=${nobody.uid}`, `--map-group=${nobody.gid}`, '--'];
  const inNamespace = { ...self, prefix, hasDeathSignal, name: 'root in a user namespace' };
  return platform() === 'linux' ? [...users, inNamespace] : users;
}

async function canGiveDeathSignal(self: ServerUser): Promise<boolean> {
  return (await runProgram(self, 'setpriv', ['--pdeathsig', 'INT', '--', 'true'])).code === 0;
}

async function ownerOf(folder: string): Promise<{ uid: number; gid: number }> {
  const { uid, gid } = await stat(folder);
  return { uid, gid };
}

/** `nobody` has an entry on every system, which `initdb` insists on; its number differs. */
async function idsOfNobody(): Promise<{ uid: number; gid: number }> {
  const entry = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(await readFile('/etc/passwd', 'utf8'));
  return { uid: Number(entry?.[1] ?? 65534) >>> 0, gid: Number(entry?.[2] ?? 65534) >>> 0 };
}
