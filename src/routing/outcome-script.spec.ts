import { FAILURE_CLASSES, type FailureClass } from './failure.js';
import { parseOutcome } from './outcome-script.js';

test.each<[string, FailureClass | null, number | null]>([
  ['ok', null, null],
  ['server_error', 'server_error', null],
  ['rate_limited:5', 'rate_limited', 5_000],
  ['overloaded:0', 'overloaded', 0],
  ['overloaded:0.25', 'overloaded', 250],
  ['circuit_open:0.001', 'circuit_open', 1],
  ['timeout:9999999', 'timeout', 9_999_999_000],
  ...FAILURE_CLASSES.map((name): [string, FailureClass, null] => [name, name, null]),
])('%s is an outcome', (text, failureClass, retryAfterMs) => {
  expect(parseOutcome(text)).toEqual({ class: failureClass, retryAfterMs });
});

test.each([
  ['', '`` is no outcome'],
  ['OK', '`OK` is no outcome'],
  ['ok:5', '`ok:5` is no outcome'],
  [' ok', '` ok` is no outcome'],
  ['toString', '`toString` is no outcome'],
  [':5', '`:5` is no outcome'],
  ['x'.repeat(1_000_000), `\`${'x'.repeat(64)}\` is no outcome`],
  ['rate_limited:', 'must be seconds'],
  ['rate_limited:-1', 'must be seconds'],
  ['rate_limited:1e3', 'must be seconds'],
  ['rate_limited:5:5', 'must be seconds'],
  ['rate_limited:1.2345', 'must be seconds'],
  ['rate_limited:99999999', 'must be seconds'],
  ['rate_limited: 5', 'must be seconds'],
])('bad text %# is not an outcome, and it is said why', (text, why) => {
  expect(parseOutcome(text)).toContain(why);
});
