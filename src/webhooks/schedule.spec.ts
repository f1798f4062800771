import { type TryResult, afterTry, MAX_TRIES, readRetryAfterMs } from './schedule.js';

const MIDDLE = 0.5;
const HOUR_MS = 3_600_000;

function answered(httpStatus: number | null, retryAfterMs: number | null = null): TryResult {
  return { httpStatus, retryAfterMs, mayRetry: true };
}

describe('afterTry', () => {
  it.each([200, 201, 202, 204, 299])('takes %i for success', (status) => {
    expect(afterTry(0, answered(status), MIDDLE)).toEqual({ type: 'succeeded' });
  });

  it.each([null, 101, 199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 408, 409, 429, 500, 502, 503, 599])(
    'tries again in 5 s after a first answer of %p',
    (status) => {
      expect(afterTry(0, answered(status), MIDDLE)).toEqual({ type: 'again', delayMs: 5_000 });
    },
  );

  it('stops at once at 410, whatever Retry-After says', () => {
    expect(afterTry(0, answered(410, 1_000), MIDDLE)).toEqual({ type: 'failed', reason: 'gone' });
  });

  it('stops at once when no try can go well', () => {
    const result = { httpStatus: null, retryAfterMs: null, mayRetry: false };
    expect(afterTry(0, result, MIDDLE)).toEqual({ type: 'failed', reason: 'hopeless' });
  });

  it('makes ten tries over 75 hours 35 minutes and 5 seconds, then gives up', () => {
    const delays = Array.from({ length: MAX_TRIES - 1 }, (_, index) =>
      afterTry(index, answered(500), MIDDLE),
    );
    const totalMs = delays.reduce((sum, after) => sum + (after.type === 'again' ? after.delayMs : NaN), 0);
    expect(MAX_TRIES).toBe(10);
    expect(totalMs).toBe((75 * 3600 + 35 * 60 + 5) * 1000);
    expect(afterTry(MAX_TRIES - 1, answered(500), MIDDLE)).toEqual({ type: 'failed', reason: 'exhausted' });
    expect(afterTry(MAX_TRIES - 1, answered(503, 1_000), MIDDLE)).toEqual({
      type: 'failed',
      reason: 'exhausted',
    });
    expect(afterTry(MAX_TRIES - 1, answered(200), MIDDLE)).toEqual({ type: 'succeeded' });
  });

  it.each([
    [0, 0, 4_000],
    [0, 0.999999999, 6_000],
    [1, 0, 240_000],
    [1, 0.999999999, 360_000],
    [8, 0, 19.2 * HOUR_MS],
  ])('after try %i with %d drawn waits %d ms', (index, random, delayMs) => {
    expect(afterTry(index, answered(500), random)).toEqual({ type: 'again', delayMs });
  });

  it.each([
    ['longer than our own: kept', 0, 60_000, 60_000],
    ['shorter than our own: ours', 1, 60_000, 300_000],
    ['nothing', 0, 0, 5_000],
    ['more than a day: a day', 0, 1e15, 24 * HOUR_MS],
    ['endless: a day', 0, Infinity, 24 * HOUR_MS],
  ])('honours a Retry-After that is %s', (_what, index, retryAfterMs, delayMs) => {
    expect(afterTry(index, answered(429, retryAfterMs), MIDDLE)).toEqual({ type: 'again', delayMs });
  });
});

describe('readRetryAfterMs', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');

  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['1.5', 1_500],
    ['99999999999999999999', 1e23],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['-5', null],
    ['2026-01-01', null],
    ['soon', null],
    ['', null],
    [undefined, null],
  ])('reads %p as %p', (header, ms) => {
    expect(readRetryAfterMs(header, nowMs)).toBe(ms);
  });
});
