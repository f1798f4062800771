import { readAnthropicReset, readDuration, readRateLimitReset, readRetryAfter } from './retry-after.js';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const SEVEN_DAYS_MS = 604_800_000;

describe('readRetryAfter', () => {
  test.each([
    [{ 'retry-after': '1' }, 1000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': ' 20 ' }, 20_000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after': '7.66' }, 7660],
    [{ 'retry-after': '99999999999' }, SEVEN_DAYS_MS],
    [{ 'retry-after': '9'.repeat(400) }, SEVEN_DAYS_MS],
    [{ 'retry-after-ms': '19730' }, 19_730],
    [{ 'retry-after-ms': '250.4' }, 250],
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{ 'retry-after-ms': '-1', 'retry-after': '9' }, 9000],
    [{ 'retry-after-ms': '', 'retry-after': '9' }, 9000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 12:01:30 GMT' }, 90_000],
    [{ 'retry-after': 'Sunday, 01-Mar-26 12:01:30 GMT' }, 90_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 11:59:00 GMT' }, 0],
    [{ 'retry-after': 'Sun, 01 Mar 2099 12:00:00 GMT' }, SEVEN_DAYS_MS],
    [{ 'retry-after': 'Sun, 99 Foo 2026 12:00:00 GMT' }, null],
    [{ 'retry-after': '-1' }, null],
    [{ 'retry-after': '-9999999999' }, null],
    [{ 'retry-after': '1e9' }, null],
    [{ 'retry-after': 'NaN' }, null],
    [{ 'retry-after': 'Infinity' }, null],
    [{ 'retry-after': '0x10' }, null],
    [{ 'retry-after': '20s' }, null],
    [{ 'retry-after': '5, 10' }, null],
    [{ 'retry-after': '2027' }, 2_027_000],
    [{ 'retry-after': '' }, null],
    [{ 'retry-after': 'soon' }, null],
    [{}, null],
  ] satisfies [Record<string, string>, number | null][])('%p asks for %p ms', (headers, expected) => {
    expect(readRetryAfter(headers, NOW_MS)).toBe(expected);
  });
});

describe('readRateLimitReset', () => {
  const reset = (
    requests?: string,
    tokens?: string,
    remainingRequests?: string,
    remainingTokens?: string,
  ) => ({
    ...(requests === undefined ? {} : { 'x-ratelimit-reset-requests': requests }),
    ...(tokens === undefined ? {} : { 'x-ratelimit-reset-tokens': tokens }),
    ...(remainingRequests === undefined ? {} : { 'x-ratelimit-remaining-requests': remainingRequests }),
    ...(remainingTokens === undefined ? {} : { 'x-ratelimit-remaining-tokens': remainingTokens }),
  });
  test.each([
    ['one limit', reset('1s'), 1000],
    ['the other limit', reset(undefined, '6m0s'), 360_000],
    ['two limits, neither said to be used up: the sooner', reset('2m59.56s', '7.66s'), 7660],
    ['two limits, one used up: that one', reset('1s', '6m0s', '59', '0'), 360_000],
    ['two limits, both used up: the later', reset('1s', '6m0s', '0', '0'), 360_000],
    ['limits that are not known', reset('-1', '0'), null],
    ['one that is known', reset('-1', '120ms'), 120],
    ['one used up, for a time that is not known', reset('-1', '5s', '0', '9'), null],
    ['a huge limit', reset('99999999h'), SEVEN_DAYS_MS],
    ['no limits', reset(), null],
  ] satisfies [string, Record<string, string>, number | null][])('of %s', (_name, headers, expected) => {
    expect(readRateLimitReset(headers)).toBe(expected);
  });
});

test.each([
  ['1s', 1000],
  ['120ms', 120],
  ['6m0s', 360_000],
  ['1h2m3.5s', 3_723_500],
  ['1d', 86_400_000],
  ['7', 7000],
  ['0', 0],
  ['0s', 0],
  ['-1', 0],
  ['-1s', 0],
  ['s', 0],
  ['1s later', 0],
  ['1.5.2s', 0],
  ['', 0],
  [undefined, 0],
  ['9'.repeat(400) + 's', SEVEN_DAYS_MS],
])('a duration of %.20p is %p ms', (text, expected) => {
  expect(readDuration(text)).toBe(expected);
});
describe('readAnthropicReset', () => {
  const limit = (unit: string, remaining: string | undefined, resetAt: string) => ({
    [`anthropic-ratelimit-${unit}-reset`]: resetAt,
    ...(remaining === undefined ? {} : { [`anthropic-ratelimit-${unit}-remaining`]: remaining }),
  });
  test.each([
    ['one limit', limit('requests', '0', '2026-03-01T12:00:07Z'), 7000],
    ['one limit, with parts of a second', limit('tokens', '0', '2026-03-01T12:00:07.25Z'), 7250],
    ['one limit, in another zone', limit('tokens', '0', '2026-03-01T13:00:07+01:00'), 7000],
    [
      'two limits, one used up: that one',
      {
        ...limit('requests', '4', '2026-03-01T12:00:01Z'),
        ...limit('input-tokens', '0', '2026-03-01T12:00:30Z'),
      },
      30_000,
    ],
    [
      'two limits, neither said to be used up: the sooner',
      {
        ...limit('requests', undefined, '2026-03-01T12:00:01Z'),
        ...limit('output-tokens', undefined, '2026-03-01T12:00:30Z'),
      },
      1000,
    ],
    ['a date that has passed', limit('requests', '0', '2026-03-01T11:59:00Z'), null],
    ['a date far off', limit('requests', '0', '2099-03-01T12:00:00Z'), SEVEN_DAYS_MS],
    ['a text that is no date', limit('requests', '0', '-5'), null],
    ['a day that is none', limit('requests', '0', '2026-99-01T12:00:00Z'), null],
    ['no limits', {}, null],
  ])('%s', (_name, headers: Record<string, string>, expected) => {
    expect(readAnthropicReset(headers, NOW_MS)).toBe(expected);
  });
});
