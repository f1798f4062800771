import { parseRedisAddress } from './redis-address.js';

const single = { kind: 'single', db: 0, isTls: false, master: '' };

it.each([
  ['redis://127.0.0.1:6379/2', { ...single, nodes: [{ host: '127.0.0.1', port: 6379 }], db: 2 }],
  ['redis://cache', { ...single, nodes: [{ host: 'cache', port: 6379 }] }],
  ['redis://', { ...single, nodes: [{ host: 'localhost', port: 6379 }] }],
  ['rediss://[::1]:6380', { ...single, nodes: [{ host: '::1', port: 6380 }], isTls: true }],
  [
    'redis://baton:p%40ss:w@cache:1/0',
    { ...single, nodes: [{ host: 'cache', port: 1 }], username: 'baton', password: 'p@ss:w' },
  ],
  ['redis://:secret@cache', { ...single, nodes: [{ host: 'cache', port: 6379 }], password: 'secret' }],
  [
    'redis+sentinel://:pw@a:1,b/mymaster/3?sentinel_password=s%26x',
    {
      kind: 'sentinel',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
      master: 'mymaster',
      db: 3,
      isTls: false,
      password: 'pw',
      sentinelPassword: 's&x',
    },
  ],
  [
    'rediss+cluster://a:7000,b:7001',
    {
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 7001 },
      ],
      master: '',
      db: 0,
      isTls: true,
    },
  ],
])('reads %s', (url, address) => {
  expect(parseRedisAddress(url)).toEqual({ value: address });
});

it.each([
  ['no scheme', 'localhost:6379'],
  ['another scheme', 'http://localhost'],
  ['two hosts of one server', 'redis://a,b'],
  ['sentinels without the name of a master', 'redis+sentinel://a,b'],
  ['a cluster with a database', 'redis+cluster://a/1'],
  ['a database that is no number', 'redis://a/x'],
  ['a port that is none', 'redis://a:70000'],
  ['an escape that is none', 'redis://:%zz@a'],
  ['a host that is none', 'redis://a b'],
])('says what would be right of %s, and never repeats it', (_what, url) => {
  const { problem } = parseRedisAddress(url);
  expect(problem).toMatch(/redis:\/\/ ?user.*redis\+sentinel:.*redis\+cluster:/);
  expect(problem).not.toContain(url);
});
