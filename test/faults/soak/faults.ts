/** What the nemesis can do, fault by fault. */
import type { Fleet, Role, Slot } from '../../support/fleet.js';
import type { MessageStore, OwnPostgres } from '../../support/own-stores.js';
import type { Form } from './forms.js';

export type FaultKind =
  | 'killWorker'
  | 'killApi'
  | 'rollWorker'
  | 'rollApi'
  | 'freezeWorker'
  | 'freezeApi'
  | 'wipeMessages'
  | 'killMessages'
  | 'fillMessages'
  | 'killDatabase'
  | 'cutDatabase';

/** For people. */
export const FAULT_NAMES: Readonly<Record<FaultKind, string>> = {
  killWorker: 'worker killed (SIGKILL)',
  killApi: 'API killed (SIGKILL)',
  rollWorker: 'worker restarted (SIGTERM)',
  rollApi: 'API restarted (SIGTERM)',
  freezeWorker: 'worker frozen 3 to 20 s (SIGSTOP)',
  freezeApi: 'API frozen 3 to 20 s (SIGSTOP)',
  wipeMessages: 'Redis wiped (FLUSHALL)',
  killMessages: 'Redis killed, back empty (SIGKILL)',
  fillMessages: 'Redis full for some seconds (maxmemory)',
  killDatabase: 'PostgreSQL killed (SIGKILL)',
  cutDatabase: 'connections to PostgreSQL cut',
};

/** Those that are done to a store. */
export const STORE_FAULTS: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'wipeMessages',
  'killMessages',
  'fillMessages',
  'killDatabase',
  'cutDatabase',
]);

/** What the faults are done to. */
export interface Arena {
  readonly fleet: Fleet;
  readonly messages: MessageStore;
  readonly postgres: OwnPostgres;
  readonly form: Form;
  readonly draw: () => number;
  /** What goes on after a fault, such as the start of the next process: it keeps no other fault waiting. */
  later(repair: Promise<unknown>): void;
}

type Fault = (arena: Arena) => Promise<string>;

export const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  killWorker: (arena) => kill(arena, 'worker'),
  killApi: (arena) => kill(arena, 'api'),
  rollWorker: (arena) => roll(arena, 'worker'),
  rollApi: (arena) => roll(arena, 'api'),
  freezeWorker: (arena) => freeze(arena, 'worker'),
  freezeApi: (arena) => freeze(arena, 'api'),
  wipeMessages: async ({ messages }) => {
    await messages.wipe();
    return 'all messages gone';
  },
  killMessages: async ({ messages, draw }) => {
    const awayMs = between(draw, 0, 4_000);
    await messages.kill(awayMs);
    return `away for ${awayMs} ms and more`;
  },
  fillMessages: async ({ messages, draw }) => {
    const forMs = between(draw, 2_000, 6_000);
    await messages.fill(forMs);
    return `for ${forMs} ms`;
  },
  killDatabase: async ({ postgres, draw }) => {
    const awayMs = between(draw, 0, 3_000);
    await postgres.kill(awayMs);
    return `away for ${awayMs} ms and more`;
  },
  cutDatabase: async ({ postgres, draw }) => `${await postgres.cut(0.2 + draw() * 0.8)} connections`,
};

async function kill(arena: Arena, role: Role): Promise<string> {
  const slot = await victim(arena, role, true);
  const { pid } = await slot.kill();
  arena.later(slot.start());
  return `${slot.name}, process ${pid}`;
}

async function roll(arena: Arena, role: Role): Promise<string> {
  const slot = await victim(arena, role, true);
  const restart = async (): Promise<void> => {
    await slot.terminate();
    await slot.start();
  };
  arena.later(restart());
  return slot.name;
}

async function freeze(arena: Arena, role: Role): Promise<string> {
  const slot = await victim(arena, role, false);
  const forMs = between(arena.draw, 3_000, 20_000);
  arena.later(slot.freeze(forMs));
  return `${slot.name} for ${forMs} ms`;
}

/** How long a fault waits for a process that it may be done to. */
const LONGEST_WAIT_MS = 60_000;

/** A process that is up, drawn from those of the role; with `isEnd` not one that is spared. */
async function victim({ fleet, form, draw }: Arena, role: Role, isEnd: boolean): Promise<Slot> {
  const slots = isEnd && form.sparesFirst ? fleet.of(role).slice(1) : fleet.of(role);
  const drawn = draw();
  for (const endMs = Date.now() + LONGEST_WAIT_MS; Date.now() < endMs;) {
    const up = slots.filter((slot) => slot.isUp);
    const slot = up[Math.floor(drawn * up.length)];
    if (slot) return slot;
    await new Promise((next) => setTimeout(next, 50));
  }
  throw new Error(`No ${role} was up for ${LONGEST_WAIT_MS} ms.`);
}

function between(draw: () => number, from: number, to: number): number {
  return Math.round(from + draw() * (to - from));
}
