import { nextAction } from './next-action.js';
import {
  A,
  B,
  between,
  call,
  type Case,
  chain,
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

const RETRYING = chain([step('a/x', { retries: 2 }), B]);
const retries: readonly Case[] = [
  [
    'without retries a failure goes on at once, with no backoff',
    situation(THREE, [failed('rate_limited')]),
    call(1, 0, { decision: 'next', reason: 'rate_limited: on to b/y' }),
  ],
  [
    'the first retry waits up to half a second',
    situation(RETRYING, [failed('overloaded')]),
    wait(0, 0, between(0, 500), {
      decision: 'retry',
      reason: reason(/^overloaded: retry 1 of 2 in \d+ ms$/),
    }),
  ],
  [
    'the second retry waits up to a second (and this seed draws nearly all of it)',
    situation(RETRYING, [failed('overloaded'), failed('timeout', { at: 5 * SECOND })], { seed: 7 }),
    wait(0, 0, between(5_990, 6_000), { reason: reason(/^timeout: retry 2 of 2 in 99\d ms$/) }),
  ],
  [
    'a retry whose wait is over is called',
    situation(RETRYING, [failed('overloaded')], { now: 500 }),
    call(0, 0, { decision: 'retry', reason: reason(/^overloaded: retry 1 of 2 in \d+ ms$/) }),
  ],
  [
    'when its retries are used up the next model is called at once',
    situation(RETRYING, [failed('overloaded'), failed('overloaded'), failed('overloaded', { at: 9 })]),
    call(1, 0, { decision: 'next', reason: 'overloaded: 2 of 2 retries used; on to b/y' }),
  ],
  [
    'a class that retries do not apply to goes on at once',
    situation(RETRYING, [failed('unauthorized')]),
    call(1, 0, { decision: 'next', reason: 'unauthorized: on to b/y' }),
  ],
  [
    'a class that retries do not apply to by default is retried where the policy says so',
    situation(chain([step('a/x', { retries: 1, on: { malformed: 'retry' } }), B]), [failed('malformed')]),
    wait(0, 0, between(0, 500), { decision: 'retry' }),
  ],
  [
    'a policy that says retry without retries goes on',
    situation(chain([step('a/x', { on: { malformed: 'retry' } }), B]), [failed('malformed')]),
    call(1, 0, { decision: 'next', reason: 'malformed: on to b/y' }),
  ],
  [
    'a policy that says next leaves the retries of the step unused',
    situation(chain([step('a/x', { retries: 2, on: { timeout: 'next' } }), B]), [failed('timeout')]),
    call(1, 0, { decision: 'next' }),
  ],
  [
    "one step's rule is not another's",
    situation(chain([step('a/x', { on: { timeout: 'stop' } }), step('b/y', { retries: 1 })]), [
      failed('overloaded'),
      failed('timeout', { step: 1 }),
    ]),
    wait(1, 0, between(0, 500), { decision: 'retry' }),
  ],
  [
    'a failure that was not retried uses up no retry',
    situation(chain([step('a/x', { retries: 1, on: { overloaded: 'wait' } }), B]), [
      failed('overloaded'),
      failed('timeout'),
    ]),
    wait(0, 0, between(0, 500), { reason: reason(/^timeout: retry 1 of 1 in /) }),
  ],
  [
    'the retries of a step begin anew in each round',
    situation(chain([step('a/x', { retries: 1 })]), [
      failed('overloaded'),
      failed('overloaded'),
      failed('overloaded', { round: 1 }),
    ]),
    wait(0, 1, between(0, 500), { reason: reason(/^overloaded: retry 1 of 1 in /) }),
  ],
  [
    'the retries of the second step are its own',
    situation(chain([step('a/x', { retries: 1 }), step('b/y', { retries: 1 })]), [
      failed('timeout'),
      failed('timeout'),
      failed('timeout', { step: 1 }),
    ]),
    wait(1, 0, between(0, 500)),
  ],
  [
    'a skipped model can be retried where the policy says so',
    situation(chain([step('a/x', { retries: 1, on: { locally_limited: 'retry' } }), B]), [
      skipped('locally_limited', { retryAfterMs: 450 }),
    ]),
    wait(0, 0, between(450, 500), { decision: 'retry' }),
  ],
];

const ALONE = chain([step('a/x', { retries: 2 })]);
const retryAfters: readonly Case[] = [
  [
    'a retry comes no sooner than Retry-After, and at most a tenth later',
    situation(ALONE, [failed('rate_limited', { retryAfterMs: 60 * SECOND })]),
    wait(0, 0, between(60_000, 66_000), {
      decision: 'retry',
      reason: reason(/^rate_limited: retry 1 of 2 in /),
    }),
  ],
  [
    'a negative Retry-After is as none',
    situation(RETRYING, [failed('rate_limited', { retryAfterMs: -30 * SECOND })]),
    wait(0, 0, between(0, 500)),
  ],
  [
    'a Retry-After that is over when the question comes is called at once',
    situation(ALONE, [failed('rate_limited', { retryAfterMs: SECOND })], { now: HOUR }),
    call(0, 0, { decision: 'retry' }),
  ],
  [
    'a retry that Retry-After moves behind the deadline gives way to the next model',
    situation(RETRYING, [failed('rate_limited', { at: 900, retryAfterMs: 90 })], { deadline: SECOND }),
    call(1, 0, {
      decision: 'next',
      reason: "rate_limited: a retry would come after the job's deadline; on to b/y",
    }),
  ],
  [
    'Retry-After holds nobody up but its own model',
    situation(THREE, [failed('rate_limited', { retryAfterMs: HOUR })]),
    call(1, 0, { decision: 'next' }),
  ],
  [
    'a round waits for the first model that may be called again, and begins with it',
    situation(THREE, [
      failed('rate_limited', { retryAfterMs: 300 * SECOND }),
      failed('rate_limited', { step: 1, retryAfterMs: 60 * SECOND }),
      failed('rate_limited', { step: 2, retryAfterMs: 120 * SECOND }),
    ]),
    wait(1, 1, between(60_000, 66_000), {
      decision: 'wait',
      reason: reason(/; passed over: a\/x \(rate_limited, asked for more time\)$/),
    }),
  ],
  [
    'when the question comes late the round begins with the first model that is open by then',
    situation(
      THREE,
      [
        failed('rate_limited', { retryAfterMs: 300 * SECOND }),
        failed('rate_limited', { step: 1, retryAfterMs: 60 * SECOND }),
        failed('unauthorized', { step: 2 }),
      ],
      { now: 300 * SECOND },
    ),
    call(0, 1, { decision: 'wait' }),
  ],
  [
    'a model whose Retry-After runs on is passed over in the next round',
    situation(THREE, [
      failed('overloaded'),
      failed('rate_limited', { step: 1, retryAfterMs: HOUR }),
      failed('overloaded', { step: 2 }),
      failed('overloaded', { round: 1, at: 5 * SECOND }),
    ]),
    call(2, 1, {
      decision: 'next',
      reason: 'overloaded: on to c/z; passed over: b/y (rate_limited, asked for more time)',
    }),
  ],
  [
    'a wait over for all models that is itself shorter than the backoff waits for the backoff',
    situation(chain([A]), [failed('rate_limited', { retryAfterMs: 10 })]),
    wait(0, 1, between(1_000, 2_000)),
  ],
  [
    'a job fails at once when all models ask for more time than it has',
    situation(chain([A, B]), [
      failed('rate_limited', { retryAfterMs: 48 * HOUR }),
      failed('rate_limited', { step: 1, retryAfterMs: 72 * HOUR }),
    ]),
    fail(
      1,
      "rate_limited: no model is left in round 1 of 3; the next possible call would be after the job's deadline",
    ),
  ],
  [
    'a huge Retry-After is bounded and ends the job in good order',
    situation(chain([A]), [failed('rate_limited', { retryAfterMs: Number.MAX_VALUE })]),
    fail(0, reason(/after the job's deadline$/)),
  ],
];

describe.each([
  ['retries', retries],
  ['Retry-After', retryAfters],
])('next action, %s:', (_, cases) => {
  it.each(cases)('%s', (_name, asked, expected) => {
    expect(nextAction(asked)).toMatchObject(expected);
  });
});
