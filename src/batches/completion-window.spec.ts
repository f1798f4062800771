import { windowSeconds } from './completion-window.js';

it.each<[string, number | null]>([
  ['24h', 86_400],
  ['15m', 900],
  ['7d', 604_800],
  ['90m', 5_400],
  ['168h', 604_800],
  ['14m', null],
  ['8d', null],
  ['169h', null],
  ['0h', null],
  ['24', null],
  ['24H', null],
  [' 24h', null],
  ['1.5h', null],
  ['-1h', null],
  ['', null],
  ['999999m', null],
])('the completion window %j is %p seconds', (text, seconds) => {
  expect(windowSeconds(text)).toBe(seconds);
});
