import { setTimeout as delay } from 'node:timers/promises';

/** Waits until it holds. Throws after `timeoutMs`, saying what does not. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`After ${timeoutMs} ms it is still not so that ${what}.`);
    await delay(20);
  }
}
