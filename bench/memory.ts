/** How much memory a process comes to hold, from Linux' `/proc`. */
import { readFileSync, writeFileSync } from 'node:fs';

/** In MiB. */
export interface MemoryPeak {
  readonly before: number;
  readonly peak: number;
  readonly grown: number;
}

const SAMPLE_EVERY_MS = 20;
/** Makes the peak of a process begin anew (proc(5)). */
const RESET_PEAK = '5';

/**
 * Begins to watch how much resident memory a process has; what it gives ends that. Null without `/proc`. Where the system does
 * not let the peak begin anew, it is looked for every 20 ms.
 */
export function watchMemory(pid: number): () => MemoryPeak | null {
  const isExact = resetPeak(pid);
  const before = fieldOf(pid, 'VmRSS');
  let seen = before ?? 0;
  const look = (): void => void (seen = Math.max(seen, fieldOf(pid, 'VmRSS') ?? 0));
  const timer = isExact ? undefined : setInterval(look, SAMPLE_EVERY_MS);
  return () => {
    clearInterval(timer);
    if (isExact) seen = fieldOf(pid, 'VmHWM') ?? 0;
    else look();
    return before === null ? null : { before, peak: seen, grown: seen - before };
  };
}

function resetPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK);
    return true;
  } catch {
    return false;
  }
}

/** A field of `/proc/PID/status` that is given in kB, in MiB; null if there is none. */
function fieldOf(pid: number, name: string): number | null {
  try {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found?.[1] === undefined ? null : Number(found[1]) / 1024;
  } catch {
    return null;
  }
}
