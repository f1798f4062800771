import { problemOfMetadata } from './metadata.js';

const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

test.each<[string, unknown]>([
  ['nothing', {}],
  ['one pair', { order: '17' }],
  ['16 pairs', pairs(16)],
  ['the longest key and value', { ['k'.repeat(64)]: 'v'.repeat(512) }],
  ['empty texts', { '': '' }],
])('%s is metadata', (_, value) => {
  expect(problemOfMetadata(value)).toBeNull();
});

test.each<[unknown, RegExp]>([
  [null, /must be an object/],
  ['x', /must be an object/],
  [['x'], /must be an object/],
  [pairs(17), /at most 16 pairs; it has 17/],
  [{ ['k'.repeat(65)]: 'v' }, /keys of at most 64 characters; 'k{40}…' has 65/],
  [{ long: 'v'.repeat(513) }, /values of at most 512 characters; that of 'long' has 513/],
  [{ order: 17 }, /'order' is a number/],
  [{ order: null }, /'order' is null/],
  [{ order: ['17'] }, /'order' is an array/],
  [{ order: {} }, /'order' is an object/],
  [{ order: true }, /'order' is a boolean/],
  [{ order: 'a\u0000b' }, /must not hold NUL \(U\+0000\); 'order' does/],
  [{ '\u0000': 'a' }, /must not hold NUL/],
  [{ order: 'a\ud800' }, /must not hold half of a surrogate pair/],
])('%j is not: the problem names the key', (value, expected) => {
  expect(problemOfMetadata(value)).toMatch(expected);
});
