import { draw, RETRY_BACKOFF, ROUND_BACKOFF, saneRetryAfterMs, waitMs } from './backoff.js';

const DAY_MS = 24 * 3_600_000;
const ALMOST_ONE = 1 - 2 ** -32;
const basis = {
  backoff: RETRY_BACKOFF,
  earlier: 0,
  retryAfterMs: null,
  leftMs: DAY_MS,
  drawn: ALMOST_ONE,
};

describe('a wait', () => {
  it.each([
    [0, 500],
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [6, 30_000],
    [7, 30_000],
    [5_000, 30_000],
  ])('before a retry that %i came before has a ceiling of %i ms', (earlier, ceilingMs) => {
    expect(waitMs({ ...basis, earlier })).toBe(ceilingMs);
    expect(waitMs({ ...basis, earlier, drawn: 0.5 })).toBe(ceilingMs / 2);
    expect(waitMs({ ...basis, earlier, drawn: 0 })).toBe(0);
  });

  it.each([
    [0, 2_000],
    [1, 4_000],
    [4, 32_000],
    [8, 300_000],
    [5_000, 300_000],
  ])('before a round that %i came before is from 1 s to %i ms', (earlier, ceilingMs) => {
    const round = { ...basis, backoff: ROUND_BACKOFF, earlier };
    expect(waitMs(round)).toBe(ceilingMs);
    expect(waitMs({ ...round, drawn: 0 })).toBe(1_000);
  });

  it.each([
    ['is longer than the backoff is kept whole', 7_000, 0, 7_000],
    ['is long has up to a tenth laid on top, so that not all come back at once', 60_000, 0.5, 63_000],
    ['is nothing leaves the backoff', 0, 0.5, 250],
    ['is below zero leaves the backoff', -5_000, 0.5, 250],
    ['is not a number and leaves the backoff', Number.NaN, 0.5, 250],
    ['is shorter than the backoff leaves the backoff', 100, 0.5, 250],
    ['has part of a millisecond is rounded up', 1_000.25, 0, 1_001],
    ['is huge becomes 30 days', Number.MAX_VALUE, 0, 30 * DAY_MS],
    ['has no end becomes 30 days', Infinity, 0, 30 * DAY_MS],
  ])('for a Retry-After that %s', (_, retryAfterMs, drawn, expectedMs) => {
    expect(waitMs({ ...basis, retryAfterMs, drawn })).toBe(expectedMs);
  });

  it('takes at most half of what is left of the job for our own backoff', () => {
    expect(waitMs({ ...basis, backoff: ROUND_BACKOFF, earlier: 8, leftMs: 10_000 })).toBe(5_000);
    expect(waitMs({ ...basis, leftMs: -1 })).toBe(0);
  });

  it('never shortens a Retry-After to what is left of the job', () => {
    expect(waitMs({ ...basis, retryAfterMs: 60_000, leftMs: 10_000, drawn: 0 })).toBe(60_000);
  });
});

describe('a Retry-After', () => {
  it('is taken as it is where it makes sense', () => {
    expect(saneRetryAfterMs(1_500)).toBe(1_500);
    expect(saneRetryAfterMs(null)).toBe(0);
  });
});

describe('a draw', () => {
  it('stays what it is for ever, so that an old decision can be had again', () => {
    expect([draw(0, 0), draw(0, 1), draw(1, 0), draw(0xffffffff, 7), draw(-1, 7)]).toEqual([
      0.5733975800685585, 0.23765396769158542, 0.5883937727194279, 0.3843605520669371, 0.3843605520669371,
    ]);
  });

  it('takes a seed that is signed or unsigned as the same 32 bits', () => {
    expect(draw(-1, 3)).toBe(draw(0xffffffff, 3));
  });

  it.each([
    ['the attempts of one job', (index: number) => draw(123_456_789, index)],
    ['jobs whose seeds follow one another', (index: number) => draw(index, 1)],
  ])('is even over %s', (_, drawn) => {
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let index = 0; index < 10_000; index++) {
      const bucket = Math.floor(drawn(index) * 10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(buckets.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    // 1,000 are expected in each; five standard deviations are 150.
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});
