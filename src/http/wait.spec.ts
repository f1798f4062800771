import { leastCpuMs } from '../../test/support/wall.js';
import { preferredWaitSeconds, queriedWaitSeconds } from './wait.js';

test.each<[string | string[] | undefined, number | null]>([
  [undefined, null],
  ['', null],
  ['wait=30', 30],
  ['Wait = 30', 30],
  ['wait="30"', 30],
  ['wait=0', 0],
  ['wait=61', 60],
  ['wait=999999999999999', 60],
  ['respond-async, wait=10', 10],
  ['wait=10, wait=20', 10],
  ['wait=10; foo=bar', 10],
  ['foo="a, wait=5", wait=7', 7],
  ['foo="a\\", wait=5", wait=7', 7],
  ['foo="never closed, wait=5', null],
  [['respond-async', 'wait=3'], 3],
  ['wait', null],
  ['wait=', null],
  ['wait=-1', null],
  ['wait=1.5', null],
  ['wait=soon, wait=5', null],
  ['waiting=5', null],
  ['return=minimal', null],
])('Prefer: %j waits %s', (header, expected) => {
  expect(preferredWaitSeconds(header)).toBe(expected);
});

test('a header of the largest size is read in no time', () => {
  const run = () => {
    preferredWaitSeconds(`${'a="'.repeat(5000)}${' ,;='.repeat(5000)}`);
    preferredWaitSeconds(`${' '.repeat(16_000)}x`);
  };
  expect(leastCpuMs(run)).toBeLessThan(200);
});

test.each<[unknown, number | null]>([
  [undefined, null],
  ['0', 0],
  ['30', 30],
  ['90', 60],
])('?wait=%j waits %s', (value, expected) => {
  expect(queriedWaitSeconds(value)).toBe(expected);
});

test.each([[''], ['-1'], ['1.5'], ['soon'], [['1', '2']]])('?wait=%j is wrong', (value) => {
  expect(() => queriedWaitSeconds(value)).toThrow(
    expect.objectContaining({ code: 'invalid_value', param: 'wait' }),
  );
});
