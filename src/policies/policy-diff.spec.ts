import { type Change, diff } from './policy-diff.js';

test.each<[string, unknown, unknown, Change[]]>([
  ['equal values', { a: [1, { b: null }] }, { a: [1, { b: null }] }, []],
  ['another order of keys', { a: 1, b: 2 }, { b: 2, a: 1 }, []],
  ['a value', { a: 1 }, { a: 2 }, [{ op: 'replace', path: '/a', from: 1, to: 2 }]],
  ['a value that becomes null', { a: 1 }, { a: null }, [{ op: 'replace', path: '/a', from: 1, to: null }]],
  ['a key that comes', {}, { a: { b: 1 } }, [{ op: 'add', path: '/a', from: null, to: { b: 1 } }]],
  ['a key that goes', { a: [] }, {}, [{ op: 'remove', path: '/a', from: [], to: null }]],
  [
    'a list that grows, and changes',
    { steps: [{ model: 'a', retries: 0 }] },
    { steps: [{ model: 'b', retries: 0 }, { model: 'a' }] },
    [
      { op: 'replace', path: '/steps/0/model', from: 'a', to: 'b' },
      { op: 'add', path: '/steps/1', from: null, to: { model: 'a' } },
    ],
  ],
  ['a list that shrinks', [1, 2], [1], [{ op: 'remove', path: '/1', from: 2, to: null }]],
  ['a list that becomes an object', { a: [] }, { a: {} }, [{ op: 'replace', path: '/a', from: [], to: {} }]],
  ['a number that becomes a text', { a: 1 }, { a: '1' }, [{ op: 'replace', path: '/a', from: 1, to: '1' }]],
  [
    'keys that a pointer must mask',
    { 'a/b': 1, '~': 1 },
    { 'a/b': 2 },
    [
      { op: 'replace', path: '/a~1b', from: 1, to: 2 },
      { op: 'remove', path: '/~0', from: 1, to: null },
    ],
  ],
  [
    'keys with the names of inherited things',
    { toString: 1 },
    { hasOwnProperty: 1 },
    [
      { op: 'remove', path: '/toString', from: 1, to: null },
      { op: 'add', path: '/hasOwnProperty', from: null, to: 1 },
    ],
  ],
])('the difference of %s', (_what, from, to, changes) => {
  expect(diff(from, to)).toEqual(changes);
});
