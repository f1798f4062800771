import { nearestName } from './nearest-name.js';

const KNOWN = ['webhook_url', 'metadata', 'priority', 'run_at'];

test.each([
  ['webhok_url', 'webhook_url'],
  ['webhook_ulr', 'webhook_url'],
  ['webhookUrl', 'webhook_url'],
  ['METADATA', 'metadata'],
  ['prority', 'priority'],
  ['run_a', 'run_at'],
  ['callback', null],
  ['x', null],
  ['', null],
  ['m'.repeat(1_000_000), null],
])('the name nearest to %s is %s', (name, expected) => {
  expect(nearestName(name, KNOWN)).toBe(expected);
});

test('no known names, no nearest one', () => {
  expect(nearestName('priority', [])).toBeNull();
});
