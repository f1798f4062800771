import { answersOf, LIMITER_CASES, play } from '../../test/support/limiter-cases.js';
import { MemoryLimiter } from './memory-limiter.js';

describe('limits in memory', () => {
  test.each(LIMITER_CASES)('$name', async (each) => {
    let nowMs = 0;
    const timed = { limiter: new MemoryLimiter(() => nowMs), setNow: (ms: number) => void (nowMs = ms) };
    expect(await play(timed, each)).toEqual(answersOf(each));
  });
});
