/** The built Baton (`dist/`) as a process of its own, as an operator starts it: tests start, signal, kill and ask it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { clearLeftover } from '../../src/storage/embedded-leftover.js';
import { BatonClient } from './baton-client.js';

const MAIN = join(__dirname, '../../dist/main.js');
const READY = /^Baton is ready: (\S+)/m;
/** A first start makes a whole PostgreSQL cluster, and the machine may be busy with other tests. */
const READY_TIMEOUT_MS = 90_000;

export interface BatonProcessOptions {
  /** `BATON_DATA_DIR`; by default it is not set, and the data folder is `.baton` in `cwd`. */
  readonly dataDir?: string;
  /** Where it is started; by default a new empty folder. */
  readonly cwd?: string;
  /** All of its environment but PATH, HOME and PORT=0: nothing else comes in from the test's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** What stands in `baton.yaml` in `cwd`. */
  readonly file?: object;
  /** Another Baton's `main.js`. */
  readonly program?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<BatonProcess>();
const folders = new Set<string>();
const dataDirs = new Set<string>();

// A run of tests that is cut off has no teardown.
process.on('exit', () => {
  for (const baton of running) baton.signal('SIGKILL');
});

/** A new empty folder that {@link cleanUpBatons} removes. */
export async function newFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'baton-process-')));
  folders.add(folder);
  return folder;
}

/** Ends what the tests of a file have left running, each by its process id, and removes their folders. */
export async function cleanUpBatons(): Promise<void> {
  for (const baton of [...running]) await baton.kill9();
  for (const dataDir of dataDirs) await clearLeftover(join(dataDir, 'postgres/data'), () => undefined);
  dataDirs.clear();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  folders.clear();
}

export class BatonProcess {
  stdout = '';
  stderr = '';
  /** How it ended, once its output is read to the end. */
  readonly exited: Promise<Exit>;
  private readonly child: ChildProcess;
  private client: BatonClient | null = null;
  private heard: () => void = () => undefined;
  private isAsked = false;

  private constructor(
    readonly cwd: string,
    readonly dataDir: string,
    env: Readonly<Record<string, string>>,
    program: string,
  ) {
    this.child = spawn(process.execPath, ['--enable-source-maps', program], {
      cwd,
      // In a process group of its own, as a shell starts what is typed.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: '0', ...env },
    });
    running.add(this);
    dataDirs.add(dataDir);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.heard();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exited = once(this.child, 'close').then(([code, signal]: unknown[]) => {
      running.delete(this);
      this.heard();
      if (this.client !== null && !this.isAsked)
        console.error(
          `A Baton ended by itself (${String(code)}, ${String(signal)}):\n${this.stderr.slice(-5_000)}`,
        );
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** Starts it and does not wait for anything. */
  static async launch(options: BatonProcessOptions = {}): Promise<BatonProcess> {
    if (!existsSync(MAIN)) throw new Error('There is no dist/: build the app first (npm run build).');
    const cwd = options.cwd ?? (await newFolder());
    if (options.file) await writeFile(join(cwd, 'baton.yaml'), stringify(options.file));
    const env = {
      ...(options.dataDir === undefined ? {} : { BATON_DATA_DIR: options.dataDir }),
      ...options.env,
    };
    return new BatonProcess(cwd, options.dataDir ?? join(cwd, '.baton'), env, options.program ?? MAIN);
  }

  /** Starts it and waits until it says that it is ready. Throws with all that it said if it ends instead. */
  static async start(options: BatonProcessOptions = {}): Promise<BatonProcess> {
    const baton = await BatonProcess.launch(options);
    const key = options.env?.['BATON_ADMIN_KEY'];
    await baton.ready(key);
    return baton;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get isRunning(): boolean {
    return running.has(this);
  }

  get url(): string {
    return this.api.url;
  }

  get key(): string {
    return this.api.key;
  }

  /** Speaks to it over HTTP. Throws before it is ready. */
  get api(): BatonClient {
    if (!this.client) throw new Error('This Baton is not ready yet.');
    return this.client;
  }

  /** What it printed first that matches; the first group of it, if there is one. Throws if nothing does. */
  printed(pattern: RegExp): string {
    const match = pattern.exec(this.stdout);
    if (!match) throw new Error(`It printed nothing like ${pattern}:\n${this.stdout}\n${this.stderr}`);
    return match[1] ?? match[0];
  }

  /** Waits until it says that it is ready; `key` is its admin key, if it was given one. Throws with all that it said if it ends instead. */
  async ready(key?: string): Promise<void> {
    const endMs = Date.now() + READY_TIMEOUT_MS;
    const timer = setTimeout(() => this.heard(), READY_TIMEOUT_MS);
    try {
      while (!READY.test(this.stdout)) {
        if (!this.isRunning || Date.now() >= endMs)
          throw new Error(`Baton did not become ready:\n${this.stdout}\n${this.stderr}`);
        await new Promise<void>((next) => (this.heard = next));
      }
    } finally {
      clearTimeout(timer);
    }
    this.client = new BatonClient(this.printed(READY), key ?? (await this.readKey()));
  }

  signal(name: NodeJS.Signals): void {
    this.isAsked = true;
    if (this.isRunning) this.child.kill(name);
  }

  /** Ends it as a crash does, it alone. */
  async kill9(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Asks it to stop as a service manager does, and gives its exit code. */
  async term(): Promise<number | null> {
    this.signal('SIGTERM');
    return (await this.exited).code;
  }

  /** Ctrl-C in the terminal: the signal goes to the whole process group. */
  pressCtrlC(): void {
    this.isAsked = true;
    process.kill(-this.pid, 'SIGINT');
  }

  private async readKey(): Promise<string> {
    return (await readFile(join(this.dataDir, 'admin-key'), 'utf8')).trim();
  }
}
