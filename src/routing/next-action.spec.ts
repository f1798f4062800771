import { FAILURE_CLASSES, FAILURES } from './failure.js';
import { nextAction } from './next-action.js';
import {
  A,
  B,
  between,
  C,
  call,
  type Case,
  chain,
  DAY,
  ended,
  fail,
  failed,
  HOUR,
  reason,
  SECOND,
  situation,
  skipped,
  step,
  THREE,
  wait,
} from '../../test/support/routing-cases.js';

const beginnings: readonly Case[] = [
  [
    'a job without attempts calls the first step',
    situation(THREE, []),
    call(0, 0, { timeoutMs: 120_000, decision: 'next', reason: 'first call: a/x' }),
  ],
  [
    'a job that is asked about at its deadline expires without a call',
    situation(THREE, [], { now: DAY }),
    { type: 'expire', decision: 'stop', reason: "the job's deadline has passed" },
  ],
  [
    'a job that is asked about after its deadline expires',
    situation(THREE, [], { now: DAY + 1 }),
    { type: 'expire' },
  ],
  [
    'a job with less than a call left expires',
    situation(THREE, [], { now: 0, deadline: 55 }),
    { type: 'expire', reason: "the job's deadline is too near for another call" },
  ],
  [
    'a job with just a call left makes it, and a tenth is kept clear',
    situation(THREE, [], { now: 0, deadline: 56 }),
    call(0, 0, { timeoutMs: 50 }),
  ],
  [
    'a call is cut so that it ends a second before the job does',
    situation(THREE, [], { now: 0, deadline: 60 * SECOND }),
    call(0, 0, { timeoutMs: 59_000 }),
  ],
  [
    'a call that fits is not cut',
    situation(THREE, [], { now: 0, deadline: 121 * SECOND }),
    call(0, 0, { timeoutMs: 120_000 }),
  ],
  [
    "a step's timeout may be shorter than the shortest call worth making at a deadline",
    situation(chain([step('a/x', { timeoutMs: 20 })]), []),
    call(0, 0, { timeoutMs: 20 }),
  ],
];

const endings: readonly Case[] = [
  [
    'an answer is accepted',
    situation(THREE, [ended('succeeded')]),
    { type: 'succeed', decision: 'accept', reason: 'succeeded: the answer is accepted' },
  ],
  [
    'an answer after failures is accepted',
    situation(THREE, [failed('timeout'), ended('succeeded', { step: 1 })]),
    { type: 'succeed' },
  ],
  [
    'an answer that is asked about after the deadline is still accepted',
    situation(THREE, [ended('succeeded')], { now: DAY + 5 }),
    { type: 'succeed' },
  ],
  [
    'an answer that was the last call allowed is accepted',
    situation(chain([A], { maxAttempts: 1 }), [ended('succeeded')]),
    { type: 'succeed' },
  ],
  [
    'a failure at the deadline expires the job',
    situation(THREE, [failed('timeout', { at: DAY })]),
    { type: 'expire' },
  ],
  [
    'a cancelled attempt is followed by no call',
    situation(THREE, [failed('timeout'), ended('cancelled', { step: 1 })]),
    fail(1, 'cancelled: nothing more is called'),
  ],
];

const interruptions: readonly Case[] = [
  [
    'an interrupted call is made again at once',
    situation(THREE, [ended('interrupted')]),
    call(0, 0, {
      decision: 'retry',
      reason: 'interrupted: the worker stopped before the answer came; a/x again at once',
    }),
  ],
  [
    'an interrupted call deep in the walk is made again where it was',
    situation(THREE, [failed('overloaded'), ended('interrupted', { step: 2, round: 1 })]),
    call(2, 1),
  ],
  [
    'a superseded call is made again',
    situation(THREE, [ended('superseded', { step: 1 })]),
    call(1, 0, {
      decision: 'retry',
      reason: 'superseded: the worker had lost the job before the answer came; b/y again at once',
    }),
  ],
  [
    'an interruption uses up no retry',
    situation(chain([step('a/x', { retries: 1 }), B]), [ended('interrupted'), failed('timeout')]),
    wait(0, 0, between(0, 500), { decision: 'retry', reason: reason(/^timeout: retry 1 of 1 in \d+ ms$/) }),
  ],
  [
    'an interruption counts as a call',
    situation(chain([A, B], { maxAttempts: 2 }), [ended('interrupted'), ended('interrupted')]),
    fail(
      1,
      'interrupted: the worker stopped before the answer came; all calls that the chain allows are made (2)',
    ),
  ],
  [
    'a failure is shown before an interruption that came after it',
    situation(chain([A, B], { maxAttempts: 2 }), [failed('timeout'), ended('interrupted', { step: 1 })]),
    fail(0, reason(/^interrupted/)),
  ],
  [
    'an interruption too near to the deadline expires the job',
    situation(THREE, [ended('interrupted', { at: 980 })], { deadline: SECOND }),
    { type: 'expire' },
  ],
];

const WAITING = chain([step('a/x', { on: { overloaded: 'wait', unauthorized: 'wait' } }), B]);
const rules: readonly Case[] = [
  [
    'stop ends the job with that failure, whatever stands behind it',
    situation(chain([step('a/x', { on: { content_filtered: 'stop' } }), B]), [failed('content_filtered')]),
    fail(0, 'content_filtered: the policy ends the job on it'),
  ],
  [
    'stop on a skipped model ends the job with that, though another model failed before',
    situation(chain([A, step('b/y', { on: { budget_exceeded: 'stop' } }), C]), [
      failed('timeout'),
      skipped('budget_exceeded', { step: 1 }),
    ]),
    fail(1, 'budget_exceeded: the policy ends the job on it'),
  ],
  [
    'stop leaves retries unused',
    situation(chain([step('a/x', { retries: 5, on: { timeout: 'stop' } })]), [failed('timeout')]),
    fail(0, reason(/^timeout/)),
  ],
  [
    'wait stays with the model, though another stands behind it',
    situation(WAITING, [failed('overloaded')]),
    wait(0, 0, between(1_000, 2_000), {
      decision: 'wait',
      reason: reason(/^overloaded: the policy waits for a\/x, again in [\d.]+ s$/),
    }),
  ],
  [
    'wait keeps Retry-After',
    situation(WAITING, [failed('overloaded', { retryAfterMs: 2 * HOUR })]),
    wait(0, 0, between(2 * HOUR, 2.2 * HOUR)),
  ],
  [
    'wait grows longer each time',
    situation(
      WAITING,
      Array.from({ length: 5 }, () => failed('overloaded')),
    ),
    wait(0, 0, between(1_000, 32_000)),
  ],
  [
    'wait calls when its time has come',
    situation(WAITING, [failed('overloaded')], { now: 2 * SECOND }),
    call(0, 0, { decision: 'wait' }),
  ],
  [
    'wait is obeyed even for what does not heal by itself',
    situation(WAITING, [failed('unauthorized')]),
    wait(0, 0, between(1_000, 2_000), { decision: 'wait' }),
  ],
  [
    'wait gives way to the next model where it would go past the deadline',
    situation(WAITING, [failed('overloaded', { retryAfterMs: 48 * HOUR })]),
    call(1, 0, {
      decision: 'next',
      reason: "overloaded: waiting for it would go past the job's deadline; on to b/y",
    }),
  ],
  [
    'wait is bounded by the calls that the chain allows',
    situation(
      WAITING,
      Array.from({ length: 10 }, () => failed('overloaded')),
    ),
    fail(9, 'overloaded; all calls that the chain allows are made (10)'),
  ],
];

const bounds: readonly Case[] = [
  [
    'a primary with another behind it is called once, though nothing else is known to work',
    situation(chain([A, B], { rounds: 1 }), [failed('server_error')]),
    call(1, 0, { decision: 'next' }),
  ],
  [
    "a call's end and the job's are never the same moment, a second before the deadline",
    situation(chain([step('a/x', { timeoutMs: SECOND })]), [], { now: 0, deadline: SECOND }),
    call(0, 0, { timeoutMs: 900 }),
  ],
  [
    "a call's end and the job's are never the same moment, a day before the deadline",
    situation(chain([step('a/x', { timeoutMs: DAY })]), []),
    call(0, 0, { timeoutMs: DAY - SECOND }),
  ],
  [
    'the deadline goes before what is left of rounds and calls',
    situation(chain([A], { rounds: 99, maxAttempts: 99 }), [failed('timeout', { at: DAY - 1 })]),
    fail(0, reason(/after the job's deadline$/)),
  ],
  [
    'the last call allowed is followed by none',
    situation(chain([A, B, C], { maxAttempts: 2 }), [failed('timeout'), failed('timeout', { step: 1 })]),
    fail(1, 'timeout; all calls that the chain allows are made (2)'),
  ],
  [
    'skipped models are not calls',
    situation(chain([A, B, C], { maxAttempts: 1 }), [
      skipped('incompatible'),
      skipped('circuit_open', { step: 1 }),
    ]),
    call(2, 0, { reason: 'circuit_open: on to c/z' }),
  ],
  [
    'a model that was called is shown before one that was skipped',
    situation(chain([A, B, C], { rounds: 1 }), [
      failed('rate_limited'),
      failed('unauthorized', { step: 1 }),
      skipped('incompatible', { step: 2 }),
    ]),
    fail(1, reason(/^incompatible: no model is left/)),
  ],
  [
    'where all models were skipped for good the last of them is shown',
    situation(chain([A, B]), [skipped('incompatible'), skipped('not_approved', { step: 1 })]),
    fail(1, 'not_approved: no model could be called in round 1 of 3, and none of the failures can heal'),
  ],
  [
    'a round in which no model could be called is not used up',
    situation(chain([A, B], { rounds: 1 }), [
      skipped('circuit_open', { retryAfterMs: 30 * SECOND }),
      skipped('locally_limited', { step: 1, retryAfterMs: 20 * SECOND }),
    ]),
    wait(1, 0, between(20_000, 22_000), {
      decision: 'wait',
      reason: reason(
        /^locally_limited: no model could be called in round 1 of 1; it begins again with b\/y in 2[\d.]+ s because locally_limited can heal; passed over: a\/x \(circuit_open, asked for more time\)$/,
      ),
    }),
  ],
  [
    'the wait for a model that stays out of reach grows to five minutes',
    situation(
      chain([A]),
      Array.from({ length: 40 }, () => skipped('circuit_open')),
      { seed: 7 },
    ),
    wait(0, 0, between(2_000, 300_000)),
  ],
  [
    'a round with one call in it is used up',
    situation(chain([A, B], { rounds: 1 }), [failed('timeout'), skipped('circuit_open', { step: 1 })]),
    fail(0, 'circuit_open: no model is left in round 1 of 1, which was the last'),
  ],
];

describe.each([
  ['the beginning', beginnings],
  ['the end', endings],
  ['an interruption', interruptions],
  ["the policy's rules", rules],
  ['bounds', bounds],
])('next action, %s:', (_, cases) => {
  it.each(cases)('%s', (_name, asked, expected) => {
    expect(nextAction(asked)).toMatchObject(expected);
  });
});

describe('next action, by default,', () => {
  const two = chain([step('a/x', { retries: 1 }), B]);
  const alone = chain([A]);

  it.each(FAILURE_CLASSES)('treats %s as the table of failures says', (name) => {
    const first = nextAction(situation(two, [failed(name)]));
    expect(first.decision).toBe(FAILURES[name].rule);
    const used = nextAction(situation(two, [failed(name), failed(name)]));
    expect(used).toMatchObject({ type: 'call', step: 1, round: 0, decision: 'next' });
    expect(nextAction(situation(alone, [failed(name)])).type).toBe(FAILURES[name].heals ? 'wait' : 'fail');
  });
});

describe('next action, of a situation that cannot be,', () => {
  it('throws for a step outside the chain', () => {
    expect(() => nextAction(situation(THREE, [failed('timeout', { step: 3 })]))).toThrow(RangeError);
  });

  it('throws for a chain without steps', () => {
    expect(() => nextAction(situation(chain([]), []))).toThrow('step 0 of a chain of 0');
  });

  it('throws for a failure without a class', () => {
    expect(() => nextAction(situation(THREE, [ended('failed')]))).toThrow(
      'an attempt failed without a class',
    );
  });
});
