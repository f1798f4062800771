import { nextAction } from './next-action.js';
import {
  A,
  B,
  between,
  C,
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

/** A minute of patience with the first of two. */
const PATIENT = chain([step('a/x', { patienceMs: 60 * SECOND }), B]);
const waits: readonly Case[] = [
  [
    'without patience a limit of ours holds nobody up',
    situation(chain([A, B]), [skipped('locally_limited', { retryAfterMs: 10 })]),
    call(1, 0, { decision: 'next', reason: 'locally_limited: on to b/y' }),
  ],
  [
    'without patience an open circuit holds nobody up',
    situation(chain([A, B]), [skipped('circuit_open')]),
    call(1, 0, { decision: 'next', reason: 'circuit_open: on to b/y' }),
  ],
  [
    'a limit of ours that names its end within the patience is waited for',
    situation(PATIENT, [skipped('locally_limited', { retryAfterMs: 20 * SECOND })]),
    wait(0, 0, between(20_000, 22_000), {
      decision: 'wait',
      reason: reason(
        /^locally_limited: waits for a\/x, again in 2[\d.]+ s; 2[\d.]+ s of the patience of 1 min used by then$/,
      ),
    }),
  ],
  [
    'when its time has come it is called, with the same decision and reason',
    situation(PATIENT, [skipped('locally_limited', { retryAfterMs: 20 * SECOND })], { now: 22 * SECOND }),
    call(0, 0, {
      decision: 'wait',
      reason: reason(/^locally_limited: waits for a\/x, again in 2[\d.]+ s; 2[\d.]+ s of the patience/),
    }),
  ],
  [
    'an open circuit that names its end within the patience is waited for',
    situation(PATIENT, [skipped('circuit_open', { retryAfterMs: 5 * SECOND })]),
    wait(0, 0, between(5_000, 5_500), { decision: 'wait' }),
  ],
  [
    'a Retry-After within the patience is waited for',
    situation(PATIENT, [failed('rate_limited', { retryAfterMs: 30 * SECOND })]),
    wait(0, 0, between(30_000, 33_000), {
      decision: 'wait',
      reason: reason(/^rate_limited: waits for a\/x/),
    }),
  ],
  [
    'a Retry-After of any class that can heal is waited for',
    situation(PATIENT, [failed('server_error', { retryAfterMs: 30 * SECOND })]),
    wait(0, 0, between(30_000, 33_000), { decision: 'wait' }),
  ],
  [
    'a class that can heal and asks for no time is not waited for',
    situation(PATIENT, [failed('server_error')]),
    call(1, 0, { decision: 'next', reason: 'server_error: on to b/y' }),
  ],
  [
    'a Retry-After of nothing asks for no time',
    situation(PATIENT, [failed('overloaded', { retryAfterMs: 0 })]),
    call(1, 0, { reason: 'overloaded: on to b/y' }),
  ],
  [
    'a class that cannot heal is not waited for, whatever it asks',
    situation(PATIENT, [failed('model_not_found', { retryAfterMs: SECOND })]),
    call(1, 0, { reason: 'model_not_found: on to b/y' }),
  ],
  [
    'a model that cannot take the request is not waited for',
    situation(PATIENT, [skipped('incompatible', { retryAfterMs: SECOND })]),
    call(1, 0),
  ],
  [
    'a budget that is spent is not waited for',
    situation(PATIENT, [skipped('budget_exceeded', { retryAfterMs: SECOND })]),
    call(1, 0),
  ],
  [
    'a limit that names no end is waited for by the backoff',
    situation(PATIENT, [skipped('locally_limited')]),
    wait(0, 0, between(1_000, 2_000), { decision: 'wait' }),
  ],
  [
    'a limit that names the next millisecond does not make the job spin',
    situation(PATIENT, [skipped('locally_limited', { retryAfterMs: 1 })]),
    wait(0, 0, between(250, 250)),
  ],
  [
    'a limit that names its end is waited for no longer the fifth time than the first',
    situation(
      PATIENT,
      [0, 1, 2, 3, 4].map((index) =>
        skipped('locally_limited', { at: index * SECOND, retryAfterMs: SECOND }),
      ),
    ),
    wait(0, 0, between(5_000, 5_100)),
  ],
  [
    "a provider's own short Retry-After is guesswork, and the backoff is laid on it",
    situation(PATIENT, [failed('rate_limited', { retryAfterMs: 10 })]),
    wait(0, 0, between(1_000, 2_000)),
  ],
  [
    'the patience of the second model is its own',
    situation(chain([A, step('b/y', { patienceMs: 10 * SECOND }), C]), [
      failed('timeout'),
      skipped('circuit_open', { step: 1, retryAfterMs: 4 * SECOND }),
    ]),
    wait(1, 0, between(4_000, 4_400), { decision: 'wait', reason: reason(/ of the patience of 10 s used/) }),
  ],
  [
    'patience holds in every round',
    situation(PATIENT, [
      failed('overloaded'),
      failed('overloaded', { step: 1 }),
      skipped('locally_limited', { round: 1, at: 5 * SECOND, retryAfterMs: SECOND }),
    ]),
    wait(0, 1, between(6_000, 6_100), { decision: 'wait' }),
  ],
];

const ends: readonly Case[] = [
  [
    'a Retry-After as long as the patience is waited for, and no jitter laid on it',
    situation(PATIENT, [failed('rate_limited', { retryAfterMs: 60 * SECOND })]),
    wait(0, 0, between(60_000, 60_000), { reason: reason(/; 1 min of the patience of 1 min used by then$/) }),
  ],
  [
    'a Retry-After longer than the patience is not begun',
    situation(PATIENT, [failed('rate_limited', { retryAfterMs: 60 * SECOND + 1 })]),
    call(1, 0, {
      decision: 'next',
      reason: 'rate_limited: the patience of 1 min does not reach; on to b/y',
    }),
  ],
  [
    'a circuit that opens again after the patience is not waited for',
    situation(PATIENT, [skipped('circuit_open', { retryAfterMs: 300 * SECOND })]),
    call(1, 0, { reason: 'circuit_open: the patience of 1 min does not reach; on to b/y' }),
  ],
  [
    'what was waited before counts',
    situation(PATIENT, [
      skipped('locally_limited', { retryAfterMs: 40 * SECOND }),
      skipped('locally_limited', { at: 41 * SECOND, retryAfterMs: 19 * SECOND }),
    ]),
    wait(0, 0, between(60_000, 60_000)),
  ],
  [
    'what was waited before counts, to the millisecond',
    situation(PATIENT, [
      skipped('locally_limited', { retryAfterMs: 40 * SECOND }),
      skipped('locally_limited', { at: 41 * SECOND, retryAfterMs: 19 * SECOND + 1 }),
    ]),
    call(1, 0, { reason: reason(/does not reach/) }),
  ],
  [
    'the time of the calls between the waits counts',
    situation(PATIENT, [
      failed('rate_limited', { retryAfterMs: 5 * SECOND }),
      failed('rate_limited', { at: 58 * SECOND, retryAfterMs: 5 * SECOND }),
    ]),
    call(1, 0, { reason: reason(/does not reach/) }),
  ],
  [
    'the time before the model asked for any does not count',
    situation(chain([step('a/x', { patienceMs: 60 * SECOND, retries: 1 }), B]), [
      failed('timeout'),
      failed('rate_limited', { at: 100 * SECOND, retryAfterMs: 50 * SECOND }),
    ]),
    wait(0, 0, between(150_000, 155_000), { decision: 'wait' }),
  ],
  [
    'an interruption ends no stay',
    situation(PATIENT, [
      skipped('circuit_open', { retryAfterMs: 30 * SECOND }),
      ended('interrupted', { at: 40 * SECOND }),
      skipped('circuit_open', { at: 41 * SECOND, retryAfterMs: 30 * SECOND }),
    ]),
    call(1, 0, { reason: reason(/does not reach/) }),
  ],
  [
    'patience is whole again in a new stay',
    situation(PATIENT, [
      skipped('circuit_open', { retryAfterMs: 300 * SECOND }),
      failed('overloaded', { step: 1 }),
      skipped('circuit_open', { round: 1, at: 300 * SECOND, retryAfterMs: 30 * SECOND }),
    ]),
    wait(0, 1, between(330_000, 333_000), { decision: 'wait' }),
  ],
  [
    'what other models asked for before it does not count',
    situation(chain([A, B, step('c/z', { patienceMs: 60 * SECOND }), A]), [
      failed('timeout'),
      skipped('circuit_open', { step: 1, retryAfterMs: HOUR }),
      skipped('circuit_open', { step: 2, at: 58 * SECOND, retryAfterMs: 30 * SECOND }),
    ]),
    wait(2, 0, between(88_000, 91_000), { decision: 'wait' }),
  ],
  [
    'a wait that names no end is cut to the patience',
    situation(chain([step('a/x', { patienceMs: 400 }), B]), [skipped('circuit_open')]),
    wait(0, 0, between(400, 400)),
  ],
  [
    'when the patience is used up the next model is called',
    situation(chain([step('a/x', { patienceMs: 400 }), B]), [
      skipped('circuit_open'),
      skipped('circuit_open', { at: 400 }),
    ]),
    call(1, 0, { reason: 'circuit_open: the patience of 400 ms does not reach; on to b/y' }),
  ],
  [
    'patience does not reach past the deadline',
    situation(PATIENT, [skipped('circuit_open', { retryAfterMs: 30 * SECOND })], { deadline: 30 * SECOND }),
    call(1, 0, { reason: "circuit_open: waiting for it would go past the job's deadline; on to b/y" }),
  ],
  [
    'patience ends with the calls that the chain allows',
    situation(chain([step('a/x', { patienceMs: HOUR }), B], { maxAttempts: 1 }), [
      failed('rate_limited', { retryAfterMs: SECOND }),
    ]),
    fail(0, reason(/^rate_limited; all calls/)),
  ],
];

const order: readonly Case[] = [
  [
    'the last model of the chain needs no patience: there is nowhere to go',
    situation(chain([A, B]), [
      failed('unauthorized'),
      failed('rate_limited', { step: 1, retryAfterMs: 90 * SECOND }),
    ]),
    wait(1, 1, between(90_000, 99_000), { decision: 'wait', reason: reason(/round 2 begins with b\/y/) }),
  ],
  [
    'where all models behind it ask for more time, patience has nothing to weigh',
    situation(PATIENT, [
      failed('overloaded'),
      failed('rate_limited', { step: 1, retryAfterMs: HOUR }),
      failed('rate_limited', { round: 1, at: 2 * SECOND, retryAfterMs: 120 * SECOND }),
    ]),
    wait(0, 2, between(122_000, 134_000), {
      decision: 'wait',
      reason: reason(/^rate_limited: no model is left/),
    }),
  ],
  [
    "the policy's next goes before patience",
    situation(chain([step('a/x', { patienceMs: HOUR, on: { rate_limited: 'next' } }), B]), [
      failed('rate_limited', { retryAfterMs: SECOND }),
    ]),
    call(1, 0, { decision: 'next', reason: 'rate_limited: on to b/y' }),
  ],
  [
    "the policy's stop goes before patience",
    situation(chain([step('a/x', { patienceMs: HOUR, on: { circuit_open: 'stop' } }), B]), [
      skipped('circuit_open', { retryAfterMs: SECOND }),
    ]),
    fail(0, 'circuit_open: the policy ends the job on it'),
  ],
  [
    "the policy's wait is not bounded by patience",
    situation(chain([step('a/x', { patienceMs: SECOND, on: { circuit_open: 'wait' } }), B]), [
      skipped('circuit_open', { retryAfterMs: HOUR }),
    ]),
    wait(0, 0, between(HOUR, 1.1 * HOUR), { reason: reason(/^circuit_open: the policy waits for a\/x/) }),
  ],
  [
    "the policy's wait for a limit that names its end does not grow",
    situation(
      chain([step('a/x', { on: { locally_limited: 'wait' } }), B]),
      [0, 1, 2, 3].map((index) => skipped('locally_limited', { at: index * SECOND, retryAfterMs: SECOND })),
    ),
    wait(0, 0, between(4_000, 4_100)),
  ],
  [
    'retries go before patience',
    situation(chain([step('a/x', { patienceMs: 60 * SECOND, retries: 1 }), B]), [
      failed('rate_limited', { retryAfterMs: 20 * SECOND }),
    ]),
    wait(0, 0, between(20_000, 22_000), {
      decision: 'retry',
      reason: reason(/^rate_limited: retry 1 of 1 in 2[\d.]+ s$/),
    }),
  ],
  [
    'when the retries are used up patience is left',
    situation(chain([step('a/x', { patienceMs: 60 * SECOND, retries: 1 }), B]), [
      failed('rate_limited', { retryAfterMs: 20 * SECOND }),
      failed('rate_limited', { at: 22 * SECOND, retryAfterMs: 20 * SECOND }),
    ]),
    wait(0, 0, between(42_000, 44_000), {
      decision: 'wait',
      reason: reason(/^rate_limited: 1 of 1 retries used; waits for a\/x, again in /),
    }),
  ],
  [
    'the waits of patience use up no retries',
    situation(chain([step('a/x', { patienceMs: 60 * SECOND, retries: 1 }), B]), [
      skipped('locally_limited', { retryAfterMs: SECOND }),
      skipped('locally_limited', { at: SECOND, retryAfterMs: SECOND }),
      failed('timeout', { at: 2 * SECOND }),
    ]),
    wait(0, 0, between(2_000, 2_500), { decision: 'retry', reason: reason(/^timeout: retry 1 of 1 in /) }),
  ],
  [
    'a retry that asks for longer than its backoff and the patience is given up',
    situation(chain([step('a/x', { patienceMs: 10 * SECOND, retries: 2 }), B]), [
      failed('rate_limited', { retryAfterMs: 20 * SECOND }),
    ]),
    call(1, 0, {
      decision: 'next',
      reason:
        'rate_limited: no retry, because it asks for 20 s; the patience of 10 s does not reach; on to b/y',
    }),
  ],
  [
    'without patience a retry is held up by no Retry-After that is longer than its backoff may be',
    situation(chain([step('a/x', { retries: 2 }), B]), [failed('rate_limited', { retryAfterMs: 501 })]),
    call(1, 0, { reason: 'rate_limited: no retry, because it asks for 501 ms; on to b/y' }),
  ],
  [
    'without patience a retry keeps a Retry-After that its backoff covers',
    situation(chain([step('a/x', { retries: 2 }), B]), [failed('rate_limited', { retryAfterMs: 500 })]),
    wait(0, 0, between(500, 500), { decision: 'retry' }),
  ],
  [
    'the second retry covers a longer Retry-After than the first',
    situation(chain([step('a/x', { retries: 2 }), B]), [
      failed('overloaded'),
      failed('overloaded', { retryAfterMs: SECOND }),
    ]),
    wait(0, 0, between(1_000, 1_000), { decision: 'retry' }),
  ],
  [
    'where nothing else is left in the round a retry keeps its Retry-After, however long',
    situation(chain([A, step('b/y', { retries: 1 })]), [
      failed('timeout'),
      failed('rate_limited', { step: 1, retryAfterMs: HOUR }),
    ]),
    wait(1, 0, between(HOUR, 1.1 * HOUR), { decision: 'retry' }),
  ],
  [
    'a round that could call nothing waits for the named end alone, however often it began',
    situation(
      chain([A]),
      Array.from({ length: 30 }, (_, index) =>
        skipped('circuit_open', { at: index * SECOND, retryAfterMs: 2 * SECOND }),
      ),
    ),
    wait(0, 0, between(31_000, 31_200), { reason: reason(/it begins again with a\/x/) }),
  ],
  [
    'all circuits open: the job waits for the first to close, and calls that one',
    situation(chain([A, B, C]), [
      skipped('circuit_open', { retryAfterMs: 300 * SECOND }),
      skipped('circuit_open', { step: 1, retryAfterMs: 40 * SECOND }),
      skipped('circuit_open', { step: 2, retryAfterMs: 80 * SECOND }),
    ]),
    wait(1, 0, between(40_000, 44_000), { decision: 'wait' }),
  ],
  [
    'a round that waits for a model that failed has its backoff',
    situation(chain([A, B]), [
      failed('overloaded'),
      skipped('locally_limited', { step: 1, retryAfterMs: 300 }),
    ]),
    wait(0, 1, between(1_000, 2_000)),
  ],
];

const LIMITED = [skipped('locally_limited', { retryAfterMs: 20 * SECOND })];
const rooms: readonly Case[] = [
  [
    'a patient job is called when room is made, with the decision and the reason of its wait',
    situation(PATIENT, LIMITED, { now: SECOND, isRoom: true }),
    call(0, 0, {
      decision: 'wait',
      reason: reason(/^locally_limited: waits for a\/x, again in 2[\d.]+ s; /),
    }),
  ],
  [
    'a closed circuit is room as well',
    situation(PATIENT, [skipped('circuit_open', { retryAfterMs: 20 * SECOND })], { isRoom: true }),
    call(0, 0, { decision: 'wait' }),
  ],
  [
    'room is no room without it',
    situation(PATIENT, LIMITED, { now: SECOND, isRoom: false }),
    wait(0, 0, between(20_000, 22_000)),
  ],
  [
    'a job whose policy waits is called when room is made',
    situation(chain([step('a/x', { on: { locally_limited: 'wait' } }), B]), LIMITED, { isRoom: true }),
    call(0, 0, { decision: 'wait', reason: reason(/^locally_limited: the policy waits/) }),
  ],
  [
    'a job whose policy retries is called when room is made',
    situation(chain([step('a/x', { retries: 1, on: { locally_limited: 'retry' } })]), LIMITED, {
      isRoom: true,
    }),
    call(0, 0, { decision: 'retry' }),
  ],
  [
    'a round that could call nothing begins again when room is made',
    situation(chain([A]), LIMITED, { isRoom: true }),
    call(0, 0, { decision: 'wait', reason: reason(/it begins again with a\/x/) }),
  ],
  [
    'a round begins when room is made at the model that it is to begin with',
    situation(chain([A, B]), [...LIMITED, failed('unauthorized', { step: 1 })], { isRoom: true }),
    call(0, 1, { decision: 'wait' }),
  ],
  [
    'room does not shorten the time of a model that failed itself',
    situation(
      chain([A, B]),
      [failed('overloaded'), skipped('locally_limited', { step: 1, retryAfterMs: HOUR })],
      { isRoom: true },
    ),
    wait(0, 1, between(1_000, 2_000)),
  ],
  [
    'room does not shorten a Retry-After',
    situation(PATIENT, [failed('rate_limited', { retryAfterMs: 20 * SECOND })], { isRoom: true }),
    wait(0, 0, between(20_000, 22_000)),
  ],
  [
    'room does not shorten the backoff of a retry',
    situation(chain([step('a/x', { retries: 1 })]), [failed('timeout')], { isRoom: true }),
    wait(0, 0, between(1, 500), { decision: 'retry' }),
  ],
  [
    'room that comes too late for a call expires the job',
    situation(PATIENT, LIMITED, { now: 99_990, deadline: 100 * SECOND, isRoom: true }),
    { type: 'expire' },
  ],
  [
    'room calls nobody that would have moved on',
    situation(chain([A, B]), LIMITED, { isRoom: true }),
    call(1, 0, { decision: 'next' }),
  ],
];

describe.each([
  ['a wait', waits],
  ['its end', ends],
  ['what goes before it', order],
  ['room', rooms],
])('patience, %s:', (_, cases) => {
  it.each(cases)('%s', (_name, asked, expected) => {
    expect(nextAction(asked)).toMatchObject(expected);
  });
});
