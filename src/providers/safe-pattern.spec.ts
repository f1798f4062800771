import { leastCpuMs } from '../../test/support/wall.js';
import { isFound, MAX_PATTERN_LENGTH, problemOfPattern } from './safe-pattern.js';

test.each(['', 'OK', '^\\s*\\{', '(?i)yes|no', '\\p{Greek}+', 'a{1000}', 'x'.repeat(MAX_PATTERN_LENGTH)])(
  'good pattern %# can be used',
  (pattern) => {
    expect(problemOfPattern(pattern)).toBeNull();
  },
);

test.each([
  ['(?=a)b', 'invalid or unsupported Perl syntax'],
  ['(?<!a)b', 'invalid named capture'],
  ['(a)\\1', 'invalid escape sequence'],
  ['(', 'missing closing )'],
  ['[z-a]', 'invalid character class range'],
  ['(a{1000}){1000}', 'invalid repeat count'],
  ['x'.repeat(MAX_PATTERN_LENGTH + 1), `has ${MAX_PATTERN_LENGTH + 1} characters`],
])('bad pattern %# is told', (pattern, why) => {
  expect(problemOfPattern(pattern)).toContain(why);
});

test.each(['(x+x+)+y', '(x?){500}x{500}y', '(.*)'.repeat(100) + 'y', '\\pL{1000}!'])(
  'the pattern %p takes time in proportion to the text',
  (pattern) => {
    const measure = (length: number) => leastCpuMs(() => isFound(pattern, 'x'.repeat(length)));
    expect(isFound(pattern, 'x'.repeat(20_000))).toBe(false);
    const [short, long] = [measure(20_000), measure(80_000)];
    expect(long).toBeLessThan(16 * short + 20);
  },
);
