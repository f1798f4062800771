/** Owners of embedded PostgreSQL servers, in processes of their own, that tests start, stop, kill and ask. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';

const RUNNER = join(__dirname, 'embedded-postgres-owner.cjs');
const started = new Set<ChildProcess>();

/** One thing that the process said. */
export interface Said {
  readonly log?: string;
  readonly ready?: string;
  readonly refused?: string;
  readonly name?: string;
  readonly stopped?: true;
  readonly interrupted?: true;
  readonly exit?: { readonly signal: string | null };
}

/** A process that starts the embedded PostgreSQL of `dataDir`; `prefix` says as whom, such as `['setpriv', …]`. */
export class Owner {
  readonly said: Said[] = [];
  private readonly child: ChildProcess;
  private readonly gone: Promise<unknown>;
  private heard: () => void = () => undefined;

  constructor(dataDir: string, prefix: readonly string[] = []) {
    const [command, ...args] = [...prefix, process.execPath, RUNNER, dataDir];
    // In a process group of its own, as a shell starts what is typed.
    this.child = spawn(command, args, { cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    started.add(this.child);
    this.gone = once(this.child, 'close').finally(() => started.delete(this.child));
    if (this.child.stdout === null) throw new Error('the owner has no output');
    createInterface(this.child.stdout).on('line', (line) => {
      this.said.push(JSON.parse(line) as Said);
      this.heard();
    });
    void this.gone.then(() => this.heard());
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Waits until it has said something with this key. Throws when it ends without having said it. */
  async until<K extends keyof Said>(key: K): Promise<NonNullable<Said[K]>> {
    for (;;) {
      const value = this.said.find((line) => line[key] !== undefined)?.[key];
      if (value !== undefined && value !== null) return value;
      if (!started.has(this.child)) throw new Error(`never said "${key}", but ${JSON.stringify(this.said)}`);
      await new Promise<void>((next) => (this.heard = next));
    }
  }

  /** Whether it became the owner, once that is known. */
  async becameOwner(): Promise<boolean> {
    return await Promise.race([
      this.gone.then(() => this.said.some((line) => line.ready !== undefined)),
      this.until('ready').then(
        () => true,
        () => false,
      ),
    ]);
  }

  /** Stops the server, waits until the process is gone. */
  async stop(): Promise<void> {
    this.child.stdin?.end();
    await this.gone;
  }

  /** As a crash does it. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.gone;
  }

  /** Ctrl-C in the terminal: the signal goes to the whole process group. */
  pressCtrlC(): void {
    process.kill(-this.pid, 'SIGINT');
  }
}

/** Ends what a failed test has left running. */
export async function killOwners(): Promise<void> {
  for (const child of started) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
}

/** Runs SQL on a connection of its own and gives the rows. */
export async function query(connectionString: string, sql: string): Promise<Array<Record<string, unknown>>> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

export interface Writer {
  /** The last row that the server said was committed. */
  readonly acknowledged: () => number;
  /** When the connection was gone. */
  readonly broke: Promise<void>;
}

/** Writes the rows that follow in table `t` (1, 2, 3 …), one by one, until the connection breaks. */
export async function writeRows(connectionString: string): Promise<Writer> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS t (n int PRIMARY KEY)');
  const { rows } = await client.query<{ last: number }>('SELECT coalesce(max(n), 0) AS last FROM t');
  let acknowledged = rows[0]?.last ?? 0;
  const write = async (): Promise<void> => {
    try {
      for (;;) {
        await client.query('INSERT INTO t VALUES ($1)', [acknowledged + 1]);
        acknowledged++;
      }
    } catch {
      await client.end().catch(() => undefined);
    }
  };
  return { acknowledged: () => acknowledged, broke: write() };
}

/** Sees that table `t` has all rows from 1 to the last, and that the last is no older than `acknowledged`. */
export async function expectRows(connectionString: string, acknowledged: number): Promise<void> {
  const [row] = await query(
    connectionString,
    'SELECT count(*)::int AS count, coalesce(max(n), 0) AS last FROM t',
  );
  expect(row?.['count']).toBe(row?.['last']);
  expect(row?.['last']).toBeGreaterThanOrEqual(acknowledged);
}

/** The id in the data folder's `postmaster.pid`. */
export async function postmasterPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** Waits until it holds; the test's own time limit ends a wait in vain. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((next) => setTimeout(next, 20));
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
