/**
 * Several processes of one Baton on the same stores: each has a slot, in which the next one starts when the last one has ended,
 * as under a service manager. What they say is kept in a file for each slot.
 */
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { BatonProcess } from './baton-process.js';

export type Role = 'api' | 'worker';

export interface FleetOptions {
  /** Where their files and what they said are put. */
  readonly folder: string;
  readonly apis: number;
  readonly workers: number;
  /** What stands in the `baton.yaml` of all of them. */
  readonly file: object;
  /** The environment of all of them, but for their roles: the stores' addresses and the keys must be in it. */
  readonly env: Readonly<Record<string, string>> & { readonly BATON_ADMIN_KEY: string };
}

/** One process of a slot, from its start to its end. */
export interface Life {
  readonly slot: string;
  readonly role: Role;
  readonly pid: number;
  readonly startedMs: number;
  /** How long it took until it was ready; null if it never was. */
  readyAfterMs: number | null;
  /** Null while it runs. */
  endedMs: number | null;
  how: 'killed' | 'terminated' | 'by itself' | null;
  /** Its exit code; null after a signal. */
  code: number | null;
}

/** Of what a process said, only the last is kept. */
const KEPT_CHARACTERS = 200_000;
/** A process that could not start, since a store was away, is started again after this. */
const START_AGAIN_MS = 500;

/** A place for one process: the first, and those that follow it. */
export class Slot {
  readonly lives: Life[] = [];
  /** Where the process of this slot listens, or the last one did; null before the first is ready. */
  url: string | null = null;
  private baton: BatonProcess | null = null;
  private isFrozen = false;
  private isClosed = false;

  constructor(
    readonly name: string,
    readonly role: Role,
    private readonly options: FleetOptions,
  ) {}

  /** True while a process runs that is ready, and is neither frozen nor being stopped. */
  get isUp(): boolean {
    return this.baton !== null && !this.isFrozen;
  }

  /** The process that is ready now; null if there is none. */
  get pid(): number | null {
    return this.baton?.pid ?? null;
  }

  /** Starts a process and waits until it is ready; one that ends before that is followed by the next. */
  async start(): Promise<void> {
    const { folder, env } = this.options;
    const cwd = join(folder, this.name);
    await mkdir(cwd, { recursive: true });
    while (!this.isClosed) {
      const startedMs = Date.now();
      const baton = await BatonProcess.launch({ cwd, env: { ...env, ROLES: this.role } });
      const life: Life = {
        slot: this.name,
        role: this.role,
        pid: baton.pid,
        startedMs,
        readyAfterMs: null,
        endedMs: null,
        how: null,
        code: null,
      };
      this.lives.push(life);
      void baton.exited.then(({ code }) => this.note(baton, life, code));
      const isReady = await baton.ready(env.BATON_ADMIN_KEY).then(
        () => true,
        () => false,
      );
      if (isReady) {
        life.readyAfterMs = Date.now() - startedMs;
        this.baton = baton;
        this.url = baton.url;
        return;
      }
      await baton.kill9();
      await new Promise((next) => setTimeout(next, START_AGAIN_MS));
    }
  }

  /** Ends the process as a crash does; gives its life. Start the next one with {@link start}. */
  async kill(): Promise<Life> {
    const { baton, life } = this.take('killed');
    await baton.kill9();
    return life;
  }

  /** Asks the process to stop, as a service manager does before an upgrade, and waits for its end. */
  async terminate(): Promise<Life> {
    const { baton, life } = this.take('terminated');
    await baton.term();
    return life;
  }

  /** Stops the process in the middle of whatever it does, for so long. */
  async freeze(forMs: number): Promise<void> {
    const { baton } = this;
    if (!baton) throw new Error(`No process runs in ${this.name}.`);
    this.isFrozen = true;
    baton.signal('SIGSTOP');
    await new Promise((next) => setTimeout(next, forMs));
    baton.signal('SIGCONT');
    this.isFrozen = false;
  }

  /** Lets no further process start, and ends the one that runs. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.baton) await this.terminate();
  }

  /** Throws away the oldest that the process said. */
  trim(): void {
    const { baton } = this;
    if (!baton) return;
    baton.stdout = baton.stdout.slice(-KEPT_CHARACTERS);
    baton.stderr = baton.stderr.slice(-KEPT_CHARACTERS);
  }

  private take(how: 'killed' | 'terminated'): { baton: BatonProcess; life: Life } {
    const life = this.lives.at(-1);
    const { baton } = this;
    if (!baton || !life) throw new Error(`No process runs in ${this.name}.`);
    this.baton = null;
    life.how = how;
    return { baton, life };
  }

  private async note(baton: BatonProcess, life: Life, code: number | null): Promise<void> {
    life.endedMs = Date.now();
    life.code = code;
    life.how ??= 'by itself';
    const said = `${baton.stdout}${baton.stderr}`.slice(-KEPT_CHARACTERS);
    const head = `--- process ${life.pid}, ended ${life.how}, ${code}, ${new Date().toISOString()}\n`;
    await appendFile(join(this.options.folder, `${this.name}.log`), head + said);
    if (this.baton !== baton) return;
    // It was ready, and nobody ended it.
    this.baton = null;
    await this.start();
  }
}

export class Fleet {
  readonly slots: readonly Slot[];

  private constructor(readonly options: FleetOptions) {
    const make = (role: Role, count: number): Slot[] =>
      Array.from({ length: count }, (_, index) => new Slot(`${role}-${index}`, role, options));
    this.slots = [...make('api', options.apis), ...make('worker', options.workers)];
  }

  /** Starts all of them, the first alone: it makes the tables. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    for (const { name } of fleet.slots) {
      await mkdir(join(options.folder, name), { recursive: true });
      await writeFile(join(options.folder, name, 'baton.yaml'), stringify(options.file));
    }
    const [first, ...others] = fleet.slots;
    await first?.start();
    await Promise.all(others.map((slot) => slot.start()));
    return fleet;
  }

  of(role: Role): readonly Slot[] {
    return this.slots.filter((slot) => slot.role === role);
  }

  /** The addresses of the APIs, also of those that are just dead: clients can't know. */
  get urls(): readonly string[] {
    return this.of('api').flatMap(({ url }) => url ?? []);
  }

  get lives(): readonly Life[] {
    return this.slots.flatMap((slot) => slot.lives);
  }

  /** Resolves when a process is ready in every slot. */
  async allUp(): Promise<void> {
    while (!this.slots.every((slot) => slot.isUp)) await new Promise((next) => setTimeout(next, 50));
  }

  async stop(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()));
  }
}
