import { FAILURE_CLASSES } from './failure.js';
import { nextAction } from './next-action.js';
import {
  A,
  B,
  between,
  call,
  type Case,
  chain,
  ended,
  fail,
  failed,
  HOUR,
  reason,
  SECOND,
  situation,
  skipped,
  step,
  wait,
} from '../../test/support/routing-cases.js';

const TWO = chain([A, B]);
const THREE_KEYS = { keys: [3, 1] };

const others: readonly Case[] = [
  [
    'a key that is not accepted gives way to another, at once',
    situation(TWO, [failed('unauthorized', { key: 'one' })], THREE_KEYS),
    call(0, 0, { decision: 'retry', reason: 'unauthorized: a/x again with another key' }),
  ],
  [
    'an account without credit gives way to another',
    situation(TWO, [failed('quota_exhausted', { key: 'one' })], THREE_KEYS),
    call(0, 0, { decision: 'retry', reason: 'quota_exhausted: a/x again with another key' }),
  ],
  [
    'a limited key gives way to another, and its Retry-After holds up no other key',
    situation(TWO, [failed('rate_limited', { key: 'one', retryAfterMs: HOUR })], THREE_KEYS),
    call(0, 0, { decision: 'retry', reason: 'rate_limited: a/x again with another key' }),
  ],
  [
    'the third key is tried after the second',
    situation(
      TWO,
      [failed('unauthorized', { key: 'one' }), failed('rate_limited', { key: 'two' })],
      THREE_KEYS,
    ),
    call(0, 0, { decision: 'retry', reason: 'rate_limited: a/x again with another key' }),
  ],
  [
    'when all keys were tried the next model is called',
    situation(
      TWO,
      ['one', 'two', 'three'].map((key) => failed('unauthorized', { key })),
      THREE_KEYS,
    ),
    call(1, 0, { decision: 'next', reason: 'unauthorized: on to b/y' }),
  ],
  [
    'where the same key comes up again no other was ready, and it is not called on and on',
    situation(TWO, [failed('rate_limited', { key: 'one' }), failed('rate_limited', { key: 'one' })], {
      keys: [2, 1],
    }),
    call(1, 0, { decision: 'next', reason: 'rate_limited: on to b/y' }),
  ],
  [
    'the only key has no other',
    situation(TWO, [failed('unauthorized', { key: 'one' })], { keys: [1, 1] }),
    call(1, 0, { decision: 'next' }),
  ],
  [
    'a provider whose keys are not known has one',
    situation(TWO, [failed('unauthorized', { key: 'one' })]),
    call(1, 0, { decision: 'next' }),
  ],
  [
    'a provider without keys has no other',
    situation(TWO, [failed('unauthorized')], THREE_KEYS),
    call(1, 0, { decision: 'next' }),
  ],
  [
    "another step's keys are not this one's",
    situation(TWO, [failed('timeout', { key: 'one' }), failed('unauthorized', { step: 1, key: 'b' })], {
      keys: [1, 2],
    }),
    call(1, 0, { decision: 'retry', reason: 'unauthorized: b/y again with another key' }),
  ],
  [
    'each round tries the keys anew',
    situation(
      chain([A]),
      [
        failed('rate_limited', { key: 'one' }),
        failed('rate_limited', { key: 'two' }),
        failed('rate_limited', { key: 'one', round: 1 }),
      ],
      { keys: [2] },
    ),
    call(0, 1, { decision: 'retry' }),
  ],
  [
    'a key that timed out was tried as well',
    situation(
      chain([step('a/x', { retries: 1 }), B]),
      [failed('timeout', { key: 'one' }), failed('unauthorized', { key: 'two' })],
      { keys: [2, 1] },
    ),
    call(1, 0, { decision: 'next' }),
  ],
  [
    'a key whose call was interrupted was not tried',
    situation(TWO, [ended('interrupted', { key: 'one' }), failed('unauthorized', { key: 'two' })], {
      keys: [2, 1],
    }),
    call(0, 0, { decision: 'retry', reason: 'unauthorized: a/x again with another key' }),
  ],
  [
    'where the other keys are not ready the chain goes on',
    situation(
      TWO,
      [failed('unauthorized', { key: 'one' }), skipped('circuit_open', { retryAfterMs: HOUR })],
      THREE_KEYS,
    ),
    call(1, 0, { decision: 'next', reason: 'circuit_open: on to b/y' }),
  ],
  [
    'where the other keys are not ready, a patient job waits for them',
    situation(
      chain([step('a/x', { patienceMs: 60 * SECOND }), B]),
      [failed('unauthorized', { key: 'one' }), skipped('circuit_open', { retryAfterMs: 9 * SECOND })],
      THREE_KEYS,
    ),
    wait(0, 0, between(9_000, 9_900), { decision: 'wait' }),
  ],
];

const bounds: readonly Case[] = [
  [
    'another key uses up no retry',
    situation(
      chain([step('a/x', { retries: 1 }), B]),
      [failed('rate_limited', { key: 'one' }), failed('rate_limited', { key: 'two' })],
      { keys: [2, 1] },
    ),
    wait(0, 0, between(0, 500), { decision: 'retry', reason: reason(/^rate_limited: retry 1 of 1 in /) }),
  ],
  [
    'a retry that was used stays used when the keys are through',
    situation(
      chain([step('a/x', { retries: 1 }), B]),
      [
        failed('rate_limited', { key: 'one' }),
        failed('rate_limited', { key: 'two' }),
        failed('rate_limited', { key: 'one' }),
      ],
      { keys: [2, 1] },
    ),
    call(1, 0, { decision: 'next', reason: 'rate_limited: 1 of 1 retries used; on to b/y' }),
  ],
  [
    'another key is a call',
    situation(chain([A, B], { maxAttempts: 1 }), [failed('unauthorized', { key: 'one' })], THREE_KEYS),
    fail(0, 'unauthorized; all calls that the chain allows are made (1)'),
  ],
  [
    'another key is not tried too near to the deadline',
    situation(TWO, [failed('unauthorized', { key: 'one', at: 980 })], { keys: [3, 1], deadline: SECOND }),
    { type: 'expire' },
  ],
  [
    "the policy's stop goes before another key",
    situation(
      chain([step('a/x', { on: { unauthorized: 'stop' } }), B]),
      [failed('unauthorized', { key: 'one' })],
      THREE_KEYS,
    ),
    fail(0, 'unauthorized: the policy ends the job on it'),
  ],
  [
    "the policy's next goes before another key",
    situation(
      chain([step('a/x', { on: { rate_limited: 'next' } }), B]),
      [failed('rate_limited', { key: 'one' })],
      THREE_KEYS,
    ),
    call(1, 0, { decision: 'next', reason: 'rate_limited: on to b/y' }),
  ],
  [
    "another key goes before the policy's wait",
    situation(
      chain([step('a/x', { on: { rate_limited: 'wait' } }), B]),
      [failed('rate_limited', { key: 'one' })],
      THREE_KEYS,
    ),
    call(0, 0, { decision: 'retry' }),
  ],
  [
    "the policy's wait does not grow by other keys",
    situation(
      chain([step('a/x', { on: { rate_limited: 'wait' } }), B]),
      ['one', 'two', 'three'].map((key) => failed('rate_limited', { key })),
      THREE_KEYS,
    ),
    wait(0, 0, between(1_000, 2_000), { decision: 'wait' }),
  ],
  [
    'an interrupted call is made again, whatever its key',
    situation(TWO, [ended('interrupted', { key: 'one' })], THREE_KEYS),
    call(0, 0, { decision: 'retry', reason: reason(/^interrupted/) }),
  ],
];

const openings: readonly Case[] = [
  [
    'a withdrawn key does not end what a limited one may still do',
    situation(
      chain([A]),
      [
        failed('rate_limited', { key: 'one', retryAfterMs: 9 * SECOND }),
        failed('unauthorized', { key: 'two' }),
      ],
      { keys: [2] },
    ),
    wait(0, 1, between(9_000, 9_900), {
      reason: reason(/begins with a\/x in 9[\d.]* s because rate_limited can heal$/),
    }),
  ],
  [
    'a withdrawn key does not end what a key that timed out may still do',
    situation(
      chain([A]),
      [failed('timeout', { key: 'one' }), failed('unauthorized', { key: 'two', round: 1 })],
      { keys: [1] },
    ),
    wait(0, 2, between(1_000, 4_000), { reason: reason(/because timeout can heal$/) }),
  ],
  [
    'a key that was held back in between is forgotten by none',
    situation(
      chain([A]),
      [
        failed('rate_limited', { key: 'one', retryAfterMs: 90 * SECOND }),
        skipped('circuit_open', { retryAfterMs: 4 * SECOND }),
        failed('unauthorized', { key: 'two', at: 5 * SECOND }),
      ],
      { keys: [2] },
    ),
    wait(0, 1, between(90_000, 99_000), { reason: reason(/because rate_limited can heal$/) }),
  ],
  [
    'a model whose keys are held back is waited for as long as that says',
    situation(
      chain([A]),
      [
        failed('rate_limited', { key: 'one', retryAfterMs: 90 * SECOND }),
        skipped('circuit_open', { retryAfterMs: 120 * SECOND }),
      ],
      { keys: [2] },
    ),
    wait(0, 1, between(120_000, 132_000), { reason: reason(/because circuit_open can heal$/) }),
  ],
  [
    'where all keys are withdrawn the model is',
    situation(
      chain([A]),
      [failed('quota_exhausted', { key: 'one' }), failed('unauthorized', { key: 'two' })],
      { keys: [2] },
    ),
    fail(1, reason(/none of the failures can heal$/)),
  ],
  [
    'a round waits for the key that is free first',
    situation(
      chain([A]),
      [
        failed('rate_limited', { key: 'one', retryAfterMs: 9 * SECOND }),
        failed('rate_limited', { key: 'two', retryAfterMs: HOUR }),
      ],
      { keys: [2] },
    ),
    wait(0, 1, between(9_000, 9_900)),
  ],
  [
    "a key's newest failure counts",
    situation(
      chain([A]),
      [
        failed('rate_limited', { key: 'one', retryAfterMs: 9 * SECOND }),
        failed('unauthorized', { key: 'two' }),
        failed('unauthorized', { key: 'one', round: 1 }),
      ],
      { keys: [2] },
    ),
    call(0, 1, { decision: 'retry' }),
  ],
  [
    'a failure of the model itself counts for all its keys',
    situation(
      chain([A]),
      [failed('rate_limited', { key: 'one' }), failed('model_not_found', { key: 'two' })],
      { keys: [2] },
    ),
    fail(1, reason(/none of the failures can heal$/)),
  ],
];

describe.each([
  ['another key', others],
  ['its bounds', bounds],
  ['when a model with several keys may be called again', openings],
])('several keys, %s:', (_, cases) => {
  it.each(cases)('%s', (_name, asked, expected) => {
    expect(nextAction(asked)).toMatchObject(expected);
  });
});

describe('several keys, of all classes,', () => {
  const OF_KEYS = ['rate_limited', 'quota_exhausted', 'unauthorized'];

  it.each(FAILURE_CLASSES)('%s is tried with another key only if it is of the key', (name) => {
    const { reason: why } = nextAction(situation(TWO, [failed(name, { key: 'one' })], THREE_KEYS));
    expect(why.includes('with another key')).toBe(OF_KEYS.includes(name));
  });
});
