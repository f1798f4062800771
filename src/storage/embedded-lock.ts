/**
 * The lock on a data folder: one Baton at a time. It names a process and when that process began, so it holds exactly
 * as long as that process lives, however it ends, and is not fooled by a process id that is used again.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { promisify } from 'node:util';
import { hasCode, readIfThere } from './embedded-files.js';

/** Who holds the lock; `start` tells this process from earlier and later ones with the same id. */
interface Holder {
  readonly pid: number;
  readonly start: string;
}

export type LockResult =
  | {
      readonly taken: true;
      /** Gives the lock back; harmless if it is no longer ours. */ release(): Promise<void>;
    }
  | { readonly taken: false; /** The process that has it. */ readonly holderPid: number };

/**
 * Takes the lock that is kept in the file `path`, over a dead process's if need be. Of any number of processes that try
 * at one moment exactly one takes it. Throws what the file system throws.
 */
export async function takeLock(path: string): Promise<LockResult> {
  const start = await startOf(process.pid);
  if (start === null) throw new Error('the system does not tell when this process began');
  const content = `${JSON.stringify({ pid: process.pid, start, nonce: randomBytes(8).toString('hex') })}\n`;
  const other = await claim(path, content);
  if (other !== null) return { taken: false, holderPid: other.pid };
  return {
    taken: true,
    release: async () => {
      if ((await readIfThere(path)) === content) await rm(path, { force: true });
    },
  };
}

/** Puts our content at `path`; null when it stands there, else the living process whose content does. */
async function claim(path: string, content: string): Promise<Holder | null> {
  for (;;) {
    if (await place(path, content)) return null;
    const found = await readIfThere(path);
    if (found === null) continue; // given back just now
    const holder = parse(found);
    if (holder !== null && (await startOf(holder.pid)) === holder.start) return holder;
    // A dead one's. Whoever holds the lock on this very content, and still finds it, may replace it.
    const right = `${path}.${createHash('sha256').update(found).digest('hex').slice(0, 12)}`;
    const rival = await claim(right, content);
    if (rival !== null) return rival;
    try {
      if ((await readIfThere(path)) === found) {
        await replace(path, content);
        return null;
      }
    } finally {
      await rm(right, { force: true });
    }
  }
}

/** Makes the file with its whole content in one step; false if there is one already. */
async function place(path: string, content: string): Promise<boolean> {
  const draft = await writeDraft(path, content);
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function replace(path: string, content: string): Promise<void> {
  await rename(await writeDraft(path, content), path);
}

async function writeDraft(path: string, content: string): Promise<string> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.draft`;
  await writeFile(draft, content, { mode: 0o600 });
  return draft;
}

function parse(content: string): Holder | null {
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('start' in value)) return null;
    const { pid, start } = value;
    return typeof pid === 'number' && typeof start === 'string' ? { pid, start } : null;
  } catch {
    return null; // cut short by a power failure: its writer is gone
  }
}

/** When the process began, as text that no other process with this id shares; null if it does not run. */
async function startOf(pid: number): Promise<string | null> {
  return platform() === 'linux' ? await startFromProc(pid) : await startFromPs(pid);
}

async function startFromProc(pid: number): Promise<string | null> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const line = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold anything; after it: state (3rd field) … start in ticks since boot (22nd), proc(5).
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return isGone(fields[0]) ? null : `${boot.trim()} ${fields[19]}`;
  } catch {
    return null;
  }
}

async function startFromPs(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'state=,lstart=', '-p', String(pid)]);
    const [state, ...start] = stdout.trim().split(/\s+/);
    return isGone(state) ? null : start.join(' ');
  } catch {
    return null;
  }
}

/** A killed process whose parent has not noticed yet still has an entry. */
function isGone(state: string | undefined): boolean {
  return state === undefined || state.startsWith('Z') || state.startsWith('X');
}
