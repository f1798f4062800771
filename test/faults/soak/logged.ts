/** What the processes logged, without what differs from time to time: for whoever looks for the cause of something. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const MOST = 40;
const LONGEST = 160;

/** By level and message, the most frequent first, from the slots' files in `folder`. */
export async function loggedIn(folder: string): Promise<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.log')) continue;
    for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
      const said = messageIn(line);
      if (said !== null) counts.set(said, (counts.get(said) ?? 0) + 1);
    }
  }
  return Object.fromEntries([...counts].sort(([, one], [, other]) => other - one).slice(0, MOST));
}

/** Null for what is no line of the log. */
function messageIn(line: string): string | null {
  if (!line.startsWith('{')) return null;
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    if (typeof msg !== 'string') return null;
    return `${String(level)} ${msg.replaceAll(/[a-z]+_[0-9A-Z]{26}|[0-9a-f-]{36}|\d+/g, '…').slice(0, LONGEST)}`;
  } catch {
    return null; // the begin of what was kept
  }
}
