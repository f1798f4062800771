/**
 * A real Redis for tests, from the machine's own `redis-server`. It listens on the loopback address alone, keeps its
 * files in a folder of its own, and is ended by its process id.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface RedisOptions {
  /** Write an append-only file, so that a killed server finds its data again in the same `directory`. */
  readonly appendonly?: boolean;
  /** Where it keeps its files; by default a temporary folder that goes when the server does. */
  readonly directory?: string;
  /** More settings, over those that all have: `{ 'cluster-enabled': 'yes' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The port to listen on, for a second start on the same address; by default a free one. */
  readonly port?: number;
}

export interface RunningRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it in good order (SIGTERM) and resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL) and resolves when it is gone. */
  kill(): Promise<void>;
}

interface Program {
  readonly path: string;
  readonly argv0: string;
}

const START_TIMEOUT_MS = 15_000;
const PORT_TRIES = 5;

/**
 * Starts a Redis and resolves when it accepts connections.
 * Throws an Error that says how to get one if the machine has none and none can be installed.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RunningRedis> {
  const program = findProgram() ?? installProgram();
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'baton-test-redis-')));
  const removeFiles = async (): Promise<void> => {
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
  };
  try {
    for (let tries = 1; ; tries += 1) {
      const port = options.port ?? (await freePort());
      const server = launch(program, directory, port, options);
      const refusal = await readyOrRefusal(server);
      if (refusal === null) return running(server, port, removeFiles);
      // Between the moment the port was found free and the start, another process may have taken it.
      const mayRetry =
        options.port === undefined && tries < PORT_TRIES && /address already in use/i.test(refusal);
      if (!mayRetry) throw new Error(`redis-server did not start:\n${refusal}`);
    }
  } catch (error) {
    await removeFiles();
    throw error;
  }
}

/** Starts a sentinel with this config file, which it writes itself later. As {@link startRedis} otherwise. */
export async function startSentinel(configPath: string): Promise<RunningRedis> {
  const { path } = findProgram() ?? installProgram();
  const port = await freePort();
  const settings = { bind: '127.0.0.1', port: String(port) };
  const server = spawnServer(path, 'redis-sentinel', [configPath, ...argsOf(settings)]);
  const refusal = await readyOrRefusal(server);
  if (refusal !== null) throw new Error(`The sentinel did not start:\n${refusal}`);
  return running(server, port, () => Promise.resolve());
}

function launch(program: Program, directory: string, port: number, options: RedisOptions): ChildProcess {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: directory,
    save: '',
    appendonly: options.appendonly === true ? 'yes' : 'no',
    appendfsync: 'everysec',
    // BullMQ's requirement: a queue must never lose a key to make room.
    'maxmemory-policy': 'noeviction',
    ...options.settings,
  };
  return spawnServer(program.path, program.argv0, argsOf(settings));
}

function argsOf(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]);
}

function spawnServer(path: string, argv0: string, args: readonly string[]): ChildProcess {
  const server = spawn(path, args, { argv0, stdio: ['ignore', 'pipe', 'pipe'] });
  const endWithUs = (): void => void server.kill('SIGKILL');
  process.once('exit', endWithUs);
  server.once('exit', () => process.removeListener('exit', endWithUs));
  return server;
}

/**
 * Null when this very process says that it accepts connections, which it does only once the port is its own; otherwise
 * what it wrote before it ended, or did not say in time.
 */
function readyOrRefusal(server: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    let output = '';
    const timer = setTimeout(() => {
      server.kill('SIGKILL');
      resolve(`Not ready after ${START_TIMEOUT_MS} ms.\n${output}`);
    }, START_TIMEOUT_MS);
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      if (/ready to accept connections|sentinel id is/i.test(output)) settle(null);
    };
    const settle = (refusal: string | null): void => {
      clearTimeout(timer);
      // Its log is read on, unheard: a full pipe would stop it.
      for (const stream of [server.stdout, server.stderr]) stream?.removeListener('data', read).resume();
      resolve(refusal);
    };
    server.stdout?.on('data', read);
    server.stderr?.on('data', read);
    server.once('error', (error) => settle(error.message));
    server.once('close', () => settle(output));
  });
}

function running(server: ChildProcess, port: number, removeFiles: () => Promise<void>): RunningRedis {
  const { pid } = server;
  if (pid === undefined) throw new Error('redis-server has no process id');
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) {
      const gone = once(server, 'exit');
      server.kill(signal);
      await gone;
    }
    await removeFiles();
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

function findProgram(): Program | null {
  return onPath('redis-server') ?? onPath('valkey-server') ?? onPath('redis-check-rdb', 'redis-server');
}

function onPath(name: string, argv0 = name): Program | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return { path, argv0 };
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/**
 * Debian's package `redis-tools` holds the server itself: `redis-server` is a link to its `redis-check-rdb`, one program
 * that goes by the name it is called. Unlike `redis-server` the package starts no service, so nothing else on the machine changes.
 */
function installProgram(): Program {
  const mayInstall = process.getuid?.() === 0 && onPath('apt-get') !== null;
  if (mayInstall) {
    const apt = (...args: string[]): void => {
      const options = ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args];
      spawnSync('apt-get', options, {
        stdio: 'inherit',
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      });
    };
    apt('update');
    apt('install', '-y', '--no-install-recommends', 'redis-tools');
  }
  const program = findProgram();
  if (program !== null) return program;
  throw new Error(
    'The tests need a real Redis, and this machine has none. Any of these helps:\n' +
      '  Debian, Ubuntu: apt-get install redis-server\n' +
      '  macOS:          brew install redis\n' +
      '  elsewhere:      TEST_REDIS_URL=redis://host:port (its data may be lost)',
  );
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
