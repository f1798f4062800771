/** A built Baton, started as its users start it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

export interface BatonSetup {
  /** For its data and its config file. */
  readonly folder: string;
  readonly databaseUrl: string;
  /** Null puts the queue into PostgreSQL. */
  readonly redisUrl: string | null;
  readonly upstreamUrl: string;
  readonly key: string;
  readonly concurrency: number;
  /** What each process does, in the order of their start; the first has the API. */
  readonly roles: readonly string[];
  /** Where each process leaves a CPU profile when it ends, if anywhere. */
  readonly profileFolder: string | null;
}

const MAIN = join(__dirname, '../dist/main.js');
const READY = /^Baton is ready: (\S+)/;

/** The slow models: provider `after-N` answers after N milliseconds. */
const DELAYS_MS = [200, 2_000, 5_000, 600_000];

/** One Baton: a process with both roles, or one for each. */
export class BatonProcess {
  private constructor(
    readonly url: string,
    private readonly children: readonly ChildProcess[],
  ) {}

  /** Resolves when it is ready. Throws when it ends before that; what it says goes to standard error. */
  static async start(setup: BatonSetup): Promise<BatonProcess> {
    await mkdir(setup.folder, { recursive: true });
    await writeFile(join(setup.folder, 'baton.yaml'), JSON.stringify(configOf(setup))); // JSON is YAML.
    const children: ChildProcess[] = [];
    const urls: string[] = [];
    for (const role of setup.roles) {
      const child = launch(setup, role);
      children.push(child);
      urls.push(await readyUrl(child));
    }
    return new BatonProcess(urls[0] ?? '', children);
  }

  get pids(): number[] {
    return this.children.flatMap(({ pid }) => pid ?? []);
  }

  /** The process with the API; without a split it is the worker as well. */
  get apiPid(): number {
    return this.pids[0] ?? 0;
  }

  get workerPid(): number {
    return this.pids.at(-1) ?? 0;
  }

  /** Stops it in good order. */
  async stop(): Promise<void> {
    for (const child of this.children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const left = once(child, 'exit');
      child.kill('SIGTERM');
      await left;
    }
  }
}

function configOf({ upstreamUrl }: BatonSetup): object {
  const slow = DELAYS_MS.map((ms) => [`after-${ms}`, { base_url: `${upstreamUrl}/after/${ms}/v1` }]);
  return {
    providers: {
      bench: { base_url: `${upstreamUrl}/v1` },
      // Called however often it fails: the others have no circuits either.
      flaky: { base_url: `${upstreamUrl}/fails/30/v1`, protect: false },
      ...Object.fromEntries(slow),
    },
    policies: { flaky: { steps: [{ model: 'flaky/instant' }, { model: 'bench/instant' }] } },
  };
}

function launch(setup: BatonSetup, roles: string): ChildProcess {
  const env = {
    PATH: process.env['PATH'],
    PORT: '0',
    ROLES: roles,
    DATABASE_URL: setup.databaseUrl,
    REDIS_URL: setup.redisUrl ?? '',
    BATON_DATA_DIR: setup.folder,
    BATON_ADMIN_KEY: setup.key,
    WORKER_CONCURRENCY: String(setup.concurrency),
    // Webhooks of loopback are the benchmark's own.
    EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
    // More than one user has connections.
    MAX_REQUESTS_IN_FLIGHT: '256',
    // As many may wait in one batch.
    BATCH_MAX_LINES: '500000',
    // What is still running at the end is of no interest any more.
    SHUTDOWN_GRACE_MS: '500',
    LOG_LEVEL: 'error',
  };
  const profile =
    setup.profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(setup.profileFolder)}`];
  const child = spawn(process.execPath, [...profile, '--enable-source-maps', MAIN], {
    cwd: setup.folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  child.once('exit', () => process.removeListener('exit', endWithUs));
  return child;
}

async function readyUrl(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('Baton has no standard output');
  for await (const line of createInterface(child.stdout)) {
    const url = READY.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return url;
  }
  throw new Error('Baton ended before it was ready');
}
