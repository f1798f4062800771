import { answersOf, LIMITER_CASES, play } from '../../test/support/limiter-cases.js';
import type { CallLimits } from '../config/config.js';
import { draw } from '../routing/backoff.js';
import { MemoryLimiter } from './memory-limiter.js';

describe('limits in memory', () => {
  test.each(LIMITER_CASES)('$name', async (each) => {
    let nowMs = 0;
    const timed = { limiter: new MemoryLimiter(() => nowMs), setNow: (ms: number) => void (nowMs = ms) };
    expect(await play(timed, each)).toEqual(answersOf(each));
  });
});

const JOBS = 1_000;
const MEAN_CALL_MS = 2_000;

interface Crowd {
  /** When the last call began, in milliseconds from the first question. */
  readonly lastMs: number;
  /** How often room was asked for. */
  readonly asks: number;
  /** The most questions within a second, but for the first. */
  readonly busiest: number;
}

/** A thousand jobs that want to call at the same moment; those who are refused come back when they are told to. */
async function crowd(limits: CallLimits, tokens: number): Promise<Crowd> {
  let nowMs = 0;
  const limiter = new MemoryLimiter(() => nowMs);
  const events: { atMs: number; run: () => Promise<void> }[] = [];
  const at = (atMs: number, run: () => Promise<void>): void => {
    const later = events.findIndex((each) => each.atMs > atMs);
    events.splice(later < 0 ? events.length : later, 0, { atMs, run });
  };
  const asksAtMs: number[] = [];
  let lastMs = 0;
  const ask = async (job: number): Promise<void> => {
    asksAtMs.push(nowMs);
    const taken = await limiter.take({
      id: `job-${job}`,
      tokens,
      holdMs: 60_000,
      limits: [{ name: 'k', limits }],
    });
    if (!taken.ok) return at(nowMs + taken.retryAfterMs, () => ask(job));
    lastMs = nowMs;
    at(nowMs + MEAN_CALL_MS * (0.5 + draw(1, job)), () => limiter.giveBack(taken, tokens));
  };
  for (let job = 0; job < JOBS; job += 1) at(0, () => ask(job));
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    nowMs = event.atMs;
    await event.run();
  }
  const seconds = new Map<number, number>();
  for (const ms of asksAtMs.slice(JOBS)) {
    const second = Math.floor(ms / 1_000);
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
  }
  return { lastMs, asks: asksAtMs.length, busiest: Math.max(...seconds.values()) };
}

describe('a thousand jobs that find no room at the same time', () => {
  test.each<[string, CallLimits, number, number]>([
    ['calls', { rpm: 600 }, 0, 90_000],
    ['tokens', { tpm: 600_000 }, 1_000, 90_000],
    ['concurrent calls', { concurrency: 20 }, 0, 98_000],
  ])('come back one after the other, and lose no time: %s', async (_, limits, tokens, idealMs) => {
    const { lastMs, asks, busiest } = await crowd(limits, tokens);
    expect(lastMs).toBeLessThan(1.1 * idealMs);
    expect(asks).toBeLessThan(3 * JOBS);
    expect(busiest).toBeLessThan(40);
  });
});
