/**
 * The embedded PostgreSQL: a real server from npm packages, in Baton's data folder, for this Baton alone. It must never
 * weaken durability, listen on the network, or let another local user in.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { findServerBinaries } from './embedded-binaries.js';
import {
  claimCluster,
  clusterIn,
  clusterVersion,
  createCluster,
  ROLE,
  type Cluster,
} from './embedded-cluster.js';
import { EmbeddedServerError, explainFileError } from './embedded-error.js';
import { hasCode, readIfThere } from './embedded-files.js';
import { clearLeftover } from './embedded-leftover.js';
import { takeLock } from './embedded-lock.js';
import { makeSocketFolder, SOCKET_PORT } from './embedded-socket.js';
import { chooseServerUser, startProgram, type ServerUser } from './embedded-user.js';

export interface EmbeddedServer {
  /** For `pg` and everything on top of it. It has the password in it: not for a log. */
  readonly connectionString: string;
  /** Stops the server (fast: open transactions are rolled back) and waits until it is gone. Again is harmless. */
  stop(): Promise<void>;
}

export interface EmbeddedServerOptions {
  /** Baton's data folder; the server's files are in `postgres` below it. Made if it is not there. */
  readonly dataDir: string;
  readonly log: (message: string, fields?: object) => void;
  /** Called if the server ends although nobody stopped it. Its files are sound, but every connection is gone. */
  readonly onExit?: (exit: ServerExit) => void;
}

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last that it said. */
  readonly lastWords: string;
}

const START_TIMEOUT_MS = 300_000; // replaying a full write-ahead log on a slow disk
const FAST_STOP_MS = 20_000;
const POLL_MS = 20;
const LAST_WORDS_LENGTH = 4_000;

/**
 * Starts the PostgreSQL in `<dataDir>/postgres`, makes it first if there is none, and stops one that a killed Baton left
 * there. Resolves when the server answers.
 * Throws {@link EmbeddedServerError} with a sentence that says what to do; then nothing is left running or locked.
 */
export async function startEmbeddedPostgres(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const startedAt = performance.now();
  const asked = resolve(options.dataDir);
  try {
    // Others may pass through, for the server may be another user; what is in it is closed to them.
    await mkdir(asked, { recursive: true, mode: 0o711 });
    const dataDir = await realpath(asked);
    const lock = await takeLock(join(dataDir, 'baton.lock'));
    if (!lock.taken) {
      throw new EmbeddedServerError(
        `${dataDir} is in use by Baton process ${lock.holderPid}. Stop it, or set BATON_DATA_DIR to another folder.`,
      );
    }
    try {
      const { server, version } = await startLocked(dataDir, options, () => lock.release());
      options.log(`embedded PostgreSQL ${version} ready in ${Math.round(performance.now() - startedAt)} ms`);
      return server;
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    throw explainFileError(error, asked);
  }
}

/** The start, by the one who holds the lock on the data folder; `unlock` is called when the server has been stopped. */
async function startLocked(
  dataDir: string,
  options: EmbeddedServerOptions,
  unlock: () => Promise<void>,
): Promise<{ server: EmbeddedServer; version: string }> {
  const binaries = await findServerBinaries();
  const cluster = await clusterIn(dataDir);
  const madeBy = await clusterVersion(cluster);
  const folder = madeBy === null ? dataDir : cluster.home;
  const { user, version } = await chooseServerUser({ postgres: binaries.postgres, dataDir, folder });
  if (madeBy === null) {
    await createCluster(dataDir, cluster, binaries, user);
  } else {
    assertSameMajor(madeBy, version, cluster);
    await clearLeftover(cluster.data, options.log);
    claimCluster(cluster, user);
  }
  const socket = await makeSocketFolder(cluster.home, user);
  const connectionString = await connectionStringFor(cluster, socket.folder);
  const postmaster = new Postmaster(startPostgres(binaries.postgres, cluster, socket.folder, user), options);
  const clear = async (): Promise<void> => {
    await postmaster.stop();
    if (socket.isTemporary) await rm(socket.folder, { recursive: true, force: true });
  };
  try {
    await untilItAnswers(connectionString, postmaster);
  } catch (error) {
    await clear();
    throw error;
  }
  postmaster.isReady = true;
  let stopped: Promise<void> | null = null;
  return { server: { connectionString, stop: () => (stopped ??= clear().then(unlock)) }, version };
}

function assertSameMajor(madeBy: string, version: string, cluster: Cluster): void {
  const major = version.split('.')[0];
  if (madeBy === major) return;
  throw new EmbeddedServerError(
    `${cluster.home} was made by PostgreSQL ${madeBy}, and this Baton has PostgreSQL ${version}. Dump it with the Baton that made it (pg_dump) and load it into a new one, or set BATON_DATA_DIR to another folder.`,
  );
}

function startPostgres(
  postgres: string,
  cluster: Cluster,
  socketFolder: string,
  user: ServerUser,
): ChildProcess {
  // On the command line stands what must hold whatever the configuration file says.
  const settings = [
    'listen_addresses=',
    `unix_socket_directories="${socketFolder.replaceAll('"', '""')}"`,
    'unix_socket_permissions=0700',
    `port=${SOCKET_PORT}`,
    'fsync=on',
    'full_page_writes=on',
    'log_destination=stderr',
    'logging_collector=off',
    'log_line_prefix=',
  ];
  return startProgram(user, postgres, ['-D', cluster.data, ...settings.flatMap((one) => ['-c', one])], 'INT');
}

/** `localhost` is only there because a URL needs a host: `host` in the query, the socket's folder, goes before it. */
async function connectionStringFor(cluster: Cluster, socketFolder: string): Promise<string> {
  const password = (await readIfThere(cluster.passwordFile))?.trim();
  if (password === undefined) {
    throw new EmbeddedServerError(
      `${cluster.passwordFile} is missing. Put it back, or set BATON_DATA_DIR to another folder.`,
    );
  }
  const host = encodeURIComponent(socketFolder);
  return `postgres://${ROLE}:${password}@localhost/${ROLE}?host=${host}&port=${SOCKET_PORT}&sslmode=disable`;
}

/** The server's first process, our child: what it says, and its end. */
class Postmaster {
  /** From when on what it says goes to Baton's log. */
  isReady = false;
  /** How it ended; null as long as it runs. */
  exit: ServerExit | null = null;
  private lastWords = '';
  private isStopping = false;
  private readonly ended: Promise<void>;

  constructor(
    private readonly child: ChildProcess,
    private readonly options: EmbeddedServerOptions,
  ) {
    // If Baton ends without stopping it. A Baton that is killed can't; on Linux the system does it then.
    const interrupt = (): void => void child.kill('SIGINT');
    process.once('exit', interrupt);
    this.ended = new Promise((done) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        process.off('exit', interrupt);
        this.exit = { code, signal, lastWords: this.lastWords.trim() };
        done();
        if (this.isReady && !this.isStopping) this.options.onExit?.(this.exit);
      };
      child.once('close', end);
      child.once('error', (error) => {
        this.lastWords += error.message;
        if (child.pid === undefined) end(null, null);
      });
    });
    child.stdin?.end();
    child.stdout?.resume();
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.hear(text));
  }

  /** Fast shutdown; after 20 seconds an immediate one, from which the next start recovers. */
  async stop(): Promise<void> {
    this.isStopping = true;
    if (this.exit === null) this.child.kill('SIGINT');
    const lastResort = setTimeout(() => this.child.kill('SIGQUIT'), FAST_STOP_MS);
    await this.ended;
    clearTimeout(lastResort);
  }

  private hear(text: string): void {
    this.lastWords = (this.lastWords + text).slice(-LAST_WORDS_LENGTH);
    if (!this.isReady || this.isStopping) return;
    for (const line of text.split('\n')) if (line !== '') this.options.log(`embedded PostgreSQL: ${line}`);
  }
}

async function untilItAnswers(connectionString: string, postmaster: Postmaster): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const refusal = await tryToConnect(connectionString);
    if (refusal === null) return;
    if (postmaster.exit !== null) {
      const reason = postmaster.exit.lastWords.split('\n').slice(-6).join(' | ');
      const advice = reason.includes('No space left')
        ? 'Free some space and start again.'
        : 'Its files are untouched.';
      throw new EmbeddedServerError(`The embedded PostgreSQL ended while it started: ${reason}. ${advice}`);
    }
    if (isFinal(refusal) || performance.now() > deadline) {
      throw new EmbeddedServerError(
        `The embedded PostgreSQL runs, but does not let Baton in (${refusal.message}). Set BATON_DATA_DIR to another folder, or DATABASE_URL to use a PostgreSQL server of your own.`,
        { cause: refusal },
      );
    }
    await sleep(POLL_MS);
  }
}

/** What stood in the way of a connection; null if nothing did. */
async function tryToConnect(connectionString: string): Promise<Error | null> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return null;
  } catch (error) {
    return error as Error; // pg throws nothing else
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Wrong password, forbidden (SQLSTATE class 28), no such database, a closed folder: waiting does not help. */
function isFinal(refusal: Error): boolean {
  return hasCode(refusal, '28P01', '28000', '3D000', 'EACCES');
}
