/**
 * What a Baton that was killed may have left: a server that still runs, or the trace of one. A running one is stopped
 * and not adopted, so that each server is the child of the Baton that it serves and ends with it.
 */
import { execFile } from 'node:child_process';
import { readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { EmbeddedServerError } from './embedded-error.js';
import { readIfThere } from './embedded-files.js';

const FAST_STOP_MS = 20_000;
const QUICK_STOP_MS = 15_000;
const POLL_MS = 25;

/**
 * Ends whatever PostgreSQL still works on the data directory `data` (a real path), and makes its `postmaster.pid` one
 * that a new server gets past. The caller holds the lock on the data folder, so no living Baton uses it.
 * Throws {@link EmbeddedServerError} if a server does not end.
 */
export async function clearLeftover(
  data: string,
  log: (message: string, fields?: object) => void,
): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pids = await serversOn(data, pidFile);
  if (pids.length > 0) {
    log('stopping the embedded PostgreSQL that an earlier Baton left', { pids });
    await end(data, pidFile, pids);
  }
  await disownPidFile(pidFile);
}

async function end(data: string, pidFile: string, pids: readonly number[]): Promise<void> {
  const postmaster = await pidIn(pidFile);
  if (postmaster !== null && pids.includes(postmaster)) signal([postmaster], 'SIGINT');
  else signal(pids, 'SIGTERM'); // server processes whose postmaster is dead
  if ((await remaining(data, pidFile, FAST_STOP_MS)).length === 0) return;
  signal(await serversOn(data, pidFile), 'SIGQUIT');
  const left = await remaining(data, pidFile, QUICK_STOP_MS);
  if (left.length === 0) return;
  throw new EmbeddedServerError(
    `A PostgreSQL of an earlier Baton still runs on ${data} and does not stop (process ${left.join(', ')}). Stop it, then start Baton again.`,
  );
}

/** Waits until no server is left, but no longer than that; gives those that are. */
async function remaining(data: string, pidFile: string, timeoutMs: number): Promise<number[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const pids = await serversOn(data, pidFile);
    if (pids.length === 0 || performance.now() > deadline) return pids;
    await sleep(POLL_MS);
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended since, or it is not ours to end: the wait that follows tells.
    }
  }
}

/**
 * The server's processes that work on `data`. A process id alone says nothing, as it may be another program's by now.
 * All of a server's processes have the data directory as their working directory; without `/proc` there is the
 * postmaster's command line.
 */
async function serversOn(data: string, pidFile: string): Promise<number[]> {
  if (platform() !== 'linux') {
    const pid = await pidIn(pidFile);
    return pid !== null && (await commandOf(pid)).includes(`-D ${data}`) ? [pid] : [];
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const areOurs = await Promise.all(pids.map((pid) => worksOn(pid, data)));
  return pids.filter((_, index) => areOurs[index]);
}

async function worksOn(pid: number, data: string): Promise<boolean> {
  try {
    if ((await readlink(`/proc/${pid}/cwd`)) !== data) return false;
    const program = await readlink(`/proc/${pid}/exe`);
    return basename(program.replace(/ \(deleted\)$/, '')) === 'postgres'; // deleted: node_modules was made anew
  } catch {
    return false; // it has ended, or is another user's
  }
}

async function commandOf(pid: number): Promise<string> {
  try {
    return (await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).stdout;
  } catch {
    return '';
  }
}

/**
 * PostgreSQL refuses to start as long as any process has the id in a stale `postmaster.pid`, but takes its own parent's
 * id for stale: so ours is put there. The file is not removed, because its other lines let PostgreSQL see whether
 * something is still attached to the old server's memory.
 */
async function disownPidFile(pidFile: string): Promise<void> {
  const content = await readIfThere(pidFile);
  if (content === null) return;
  const [first = '', ...rest] = content.split('\n');
  if (/^-?\d+$/.test(first)) await writeFile(pidFile, [process.pid, ...rest].join('\n'));
  else await rm(pidFile); // cut off while it was written: it says nothing, and PostgreSQL would not start
}

async function pidIn(pidFile: string): Promise<number | null> {
  const first = (await readIfThere(pidFile))?.split('\n')[0] ?? '';
  return /^\d+$/.test(first) ? Number(first) : null;
}
