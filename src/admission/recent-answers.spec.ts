import { HALF_LIFE_MS, RecentAnswers } from './recent-answers.js';

const START = 1_800_000_000_000;

/** Calls as `[after how long, how long a good answer took, or null for a failure]`. */
function noted(calls: readonly (readonly [number, number | null])[]): RecentAnswers {
  const answers = new RecentAnswers();
  for (const [afterMs, goodMs] of calls) answers.note('p/m', goodMs, START + afterMs);
  return answers;
}

test.each([
  ['nothing is known', [], 0, null, null],
  ['it has only failed', [[0, null]], 0, null, 3_600_000],
  ['it has answered once', [[0, 200]], 0, 200, 200],
  [
    'all were good',
    [
      [0, 100],
      [0, 300],
    ],
    0,
    200,
    200,
  ],
  [
    'half have failed',
    [
      [0, 100],
      [0, null],
      [0, 300],
      [0, null],
    ],
    0,
    200,
    400,
  ],
  ['nothing has happened since', [[0, 100]], HALF_LIFE_MS, 100, 100],
  [
    'an old one counts half',
    [
      [0, 400],
      [HALF_LIFE_MS, 100],
    ],
    HALF_LIFE_MS,
    200,
    200,
  ],
  ['all is long ago', [[0, 100]], 7 * HALF_LIFE_MS, null, null],
] as const)('the time of a good answer, when %s', (_, calls, afterMs, meanMs, latencyMs) => {
  const answers = noted(calls);
  const rounded = (ms: number | null) => (ms === null ? null : Math.round(ms));
  expect(rounded(answers.meanMsOf('p/m', START + afterMs))).toBe(meanMs);
  expect(rounded(answers.latencyMsOf('p/m', START + afterMs))).toBe(latencyMs);
});

test('of another model says nothing', () => {
  expect(noted([[0, 100]]).latencyMsOf('p/other', START)).toBeNull();
});
