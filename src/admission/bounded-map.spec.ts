import { BoundedMap } from './bounded-map.js';

const names = (map: BoundedMap<string>) => [...map.values()].join('');

test.each([
  ['forgets what was not used for longest', 'abcd', '', 'bcd'],
  ['counts use, and not only making', 'abcad', '', 'cad'],
  ['keeps what is worth keeping', 'Abcd', 'A', 'Acd'],
  ['forgets the oldest when all are worth keeping', 'ABCD', 'ABCD', 'BCD'],
])('a map of three %s', (_, uses, worth, expected) => {
  const map = new BoundedMap<string>(3, (value) => worth.includes(value));
  for (const name of uses) map.use(name, () => name);
  expect(names(map)).toBe(expected);
});

test('looking is no use', () => {
  const map = new BoundedMap<string>(2);
  for (const name of 'ab') map.use(name, () => name);
  expect(map.peek('a')).toBe('a');
  map.use('c', () => 'c');
  expect(map.peek('a')).toBeUndefined();
});

test('a flood of names leaves what is worth keeping', () => {
  const map = new BoundedMap<string>(100, (value) => value.startsWith('open'));
  for (let count = 0; count < 50; count += 1) map.use(`open-${count}`, () => `open-${count}`);
  for (let count = 0; count < 5_000; count += 1) map.use(`junk-${count}`, () => `junk-${count}`);
  expect([...map.values()].filter((value) => value.startsWith('open'))).toHaveLength(50);
  expect([...map.values()]).toHaveLength(100);
});
