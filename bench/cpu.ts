/** How much CPU processes have used, from Linux' `/proc`. */
import { readdirSync, readFileSync } from 'node:fs';

/** What user space sees of the clock's rate on every Linux platform that Node runs on (`getconf CLK_TCK`). */
const MICROS_PER_TICK = 10_000;

interface Stat {
  readonly parent: number;
  /** Of the process and of its children that have ended. */
  readonly ticks: number;
}

/** CPU time that these processes and their former children have used so far, in microseconds; null without `/proc`. */
export function cpuMicros(pids: readonly number[]): number | null {
  if (statOf(process.pid) === undefined) return null;
  return pids.reduce((sum, pid) => sum + (statOf(pid)?.ticks ?? 0), 0) * MICROS_PER_TICK;
}

/** A server that has a process for each connection: all its processes, told from one of them. None without `/proc`. */
export function serverOf(connectionPid: number): number[] {
  const server = statOf(connectionPid)?.parent;
  if (server === undefined) return [];
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return [server, ...pids.filter((pid) => statOf(pid)?.parent === server)];
}

/** What `/proc/PID/stat` says (proc(5)); undefined when there is no such process. */
function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field, a name in brackets, may hold blanks; the first after it is number 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return { parent: field(4), ticks: field(14) + field(15) + field(16) + field(17) };
}
