import { hasTag, parseRange } from './byte-range.js';

test.each<[string | undefined, number, ReturnType<typeof parseRange>]>([
  ['bytes=0-0', 10, { start: 0, end: 1 }],
  ['bytes=2-5', 10, { start: 2, end: 6 }],
  ['bytes=2-', 10, { start: 2, end: 10 }],
  ['bytes=9-9', 10, { start: 9, end: 10 }],
  ['bytes=9-999999999999999', 10, { start: 9, end: 10 }],
  ['bytes=-3', 10, { start: 7, end: 10 }],
  ['bytes=-10', 10, { start: 0, end: 10 }],
  ['bytes=-11', 10, { start: 0, end: 10 }],
  ['Bytes= 0-1 ', 10, { start: 0, end: 2 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=10-20', 10, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-5', 0, null],
  [undefined, 10, null],
  ['', 10, null],
  ['bytes=', 10, null],
  ['bytes=-', 10, null],
  ['bytes=5-2', 10, null],
  ['bytes=0-1,4-5', 10, null],
  ['bytes=a-b', 10, null],
  ['bytes=--1', 10, null],
  ['bytes=0-9999999999999999', 10, null],
  ['lines=0-1', 10, null],
  ['bytes 0-1', 10, null],
])('%s of %d bytes is %j', (header, size, expected) => {
  expect(parseRange(header, size)).toEqual(expected);
});

test.each<[string | undefined, boolean]>([
  [undefined, false],
  ['*', true],
  ['"a"', true],
  ['W/"a"', true],
  ['"b", "a"', true],
  ['"b"', false],
  ['a', false],
])('If-None-Match: %s names "a": %s', (header, expected) => {
  expect(hasTag(header, '"a"')).toBe(expected);
});
