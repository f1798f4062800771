import { listReply, parsePaging } from './paging.js';

test.each([
  [{}, { limit: 20, after: null, order: 'desc' }],
  [{ limit: '1' }, { limit: 1, after: null, order: 'desc' }],
  [
    { limit: '100', after: 'job_x', order: 'asc' },
    { limit: 100, after: 'job_x', order: 'asc' },
  ],
  [{ status: 'queued' }, { limit: 20, after: null, order: 'desc' }],
  [{ after: '' }, { limit: 20, after: null, order: 'desc' }],
])('%j asks for %j', (query, expected) => {
  expect(parsePaging(query)).toEqual(expected);
});

test('a door may list in ascending order by default', () => {
  expect(parsePaging({}, { defaultOrder: 'asc' }).order).toBe('asc');
  expect(parsePaging({ order: 'desc' }, { defaultOrder: 'asc' }).order).toBe('desc');
});

test('a door may have limits of its own', () => {
  const limits = { most: 10_000, normal: 500 };
  expect(parsePaging({}, { limits }).limit).toBe(500);
  expect(parsePaging({ limit: '10000' }, { limits }).limit).toBe(10_000);
  expect(() => parsePaging({ limit: '10001' }, { limits })).toThrow('from 1 to 10000');
});

test.each([
  [{ limit: '0' }, 'limit'],
  [{ limit: '101' }, 'limit'],
  [{ limit: '-1' }, 'limit'],
  [{ limit: '1.5' }, 'limit'],
  [{ limit: '' }, 'limit'],
  [{ limit: ['1', '2'] }, 'limit'],
  [{ after: ['a', 'b'] }, 'after'],
  [{ after: 'x'.repeat(257) }, 'after'],
  [{ order: 'up' }, 'order'],
  [{ order: ['asc', 'asc'] }, 'order'],
])('%j is wrong in %s', (query, param) => {
  expect(() => parsePaging(query)).toThrow(expect.objectContaining({ code: 'invalid_value', param }));
});

test('a page names its first and last', () => {
  const [a, b] = [{ id: 'a' }, { id: 'b' }];
  expect(listReply([a, b], true)).toEqual({
    object: 'list',
    data: [a, b],
    first_id: 'a',
    last_id: 'b',
    has_more: true,
  });
  expect(listReply([], false)).toEqual({
    object: 'list',
    data: [],
    first_id: null,
    last_id: null,
    has_more: false,
  });
  expect(listReply([{ name: 'n' }], false, (item) => item.name)).toMatchObject({
    first_id: 'n',
    last_id: 'n',
  });
});
