import { KeyRing } from './key-ring.js';

/** Who has the turn when all of these ask one after the other: each takes the first that is not resting. */
function turns(
  keyIds: readonly string[],
  resting: readonly string[][],
  avoid: readonly string[] = [],
): string {
  const ring = new KeyRing();
  return resting
    .map((away) => {
      const first = ring.order('p/m', keyIds, avoid).find((keyId) => !away.includes(keyId)) ?? '-';
      ring.use('p/m', first);
      return first;
    })
    .join('');
}

const ALL_READY = Array.from({ length: 6 }, () => []);

test.each([
  ['all are ready', ['a', 'b', 'c'], ALL_READY, [], 'abcabc'],
  ['there is one', ['a'], ALL_READY, [], 'aaaaaa'],
  ['one rests', ['a', 'b', 'c'], Array.from({ length: 6 }, () => ['b']), [], 'acacac'],
  ['one comes back from a rest', ['a', 'b'], [['b'], ['b'], ['b'], [], [], []], [], 'aaabab'],
  ['one is to be avoided', ['a', 'b', 'c'], ALL_READY, ['a'], 'bcbcbc'],
  ['one is to be avoided, and no other is ready', ['a', 'b'], [['b'], ['b'], []], ['a'], 'aab'],
  ['all are to be avoided', ['a', 'b'], ALL_READY, ['a', 'b'], 'ababab'],
])('the turns go round evenly when %s', (_, keyIds, resting, avoid, expected) => {
  expect(turns(keyIds, resting, avoid)).toBe(expected);
});

test('each model has turns of its own, so that two models by turns do not get one key each', () => {
  const ring = new KeyRing();
  const used = ['p/m', 'p/n', 'p/m', 'p/n'].map((model) => {
    const [first = ''] = ring.order(model, ['a', 'b'], []);
    ring.use(model, first);
    return first;
  });
  expect(used).toEqual(['a', 'a', 'b', 'b']);
});

test('a provider without keys has the turn of no key', () => {
  const ring = new KeyRing();
  ring.use('p/m', null);
  expect(ring.order('p/m', [null], ['a'])).toEqual([null]);
});
