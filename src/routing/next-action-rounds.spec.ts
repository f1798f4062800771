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

const rounds: readonly Case[] = [
  [
    'when the chain is through and something can heal, another round comes after a backoff',
    situation(THREE, [
      failed('overloaded'),
      failed('timeout', { step: 1 }),
      failed('server_error', { step: 2 }),
    ]),
    wait(0, 1, between(1_000, 2_000), {
      decision: 'wait',
      reason: reason(
        /^server_error: no model is left in round 1 of 3; round 2 begins with a\/x in [\d.]+ s because overloaded can heal$/,
      ),
    }),
  ],
  [
    'when its wait is over the round begins, with the same decision and reason',
    situation(chain([A]), [failed('overloaded')], { now: 2 * SECOND }),
    call(0, 1, {
      decision: 'wait',
      reason: reason(
        /^overloaded: no model is left in round 1 of 3; round 2 begins with a\/x in [\d.]+ s because overloaded can heal$/,
      ),
    }),
  ],
  [
    'the backoff doubles with each round',
    situation(chain([A]), [failed('overloaded'), failed('overloaded', { round: 1 })]),
    wait(0, 2, between(1_000, 4_000)),
  ],
  [
    'after the last round the job fails with the last failure',
    situation(chain([A, B], { rounds: 1 }), [failed('overloaded'), failed('timeout', { step: 1 })]),
    fail(1, 'timeout: no model is left in round 1 of 1, which was the last'),
  ],
  [
    'when nothing can heal the job fails though rounds are left',
    situation(chain([A, B]), [failed('unauthorized'), failed('model_not_found', { step: 1 })]),
    fail(1, 'model_not_found: no model is left in round 1 of 3, and none of the failures can heal'),
  ],
  [
    'a round begins with the first model that can heal',
    situation(THREE, [
      failed('unauthorized'),
      failed('overloaded', { step: 1 }),
      failed('invalid_request', { step: 2 }),
    ]),
    wait(1, 1, between(1_000, 2_000), {
      reason: reason(/because overloaded can heal; passed over: a\/x \(unauthorized\)$/),
    }),
  ],
  [
    'a long row of models that are passed over is named in part',
    situation(chain([A, A, A, A, A, B]), [
      ...[0, 1, 2, 3, 4].map((index) => failed('refused', { step: index })),
      failed('empty', { step: 5 }),
    ]),
    wait(5, 1, between(1_000, 2_000), {
      reason: reason(/; passed over: a\/x \(refused\), a\/x \(refused\), a\/x \(refused\), 2 more$/),
    }),
  ],
  [
    'models that cannot heal are passed over within a later round',
    situation(THREE, [
      failed('overloaded'),
      failed('unauthorized', { step: 1 }),
      failed('overloaded', { step: 2 }),
      failed('overloaded', { round: 1 }),
    ]),
    call(2, 1, { reason: 'overloaded: on to c/z; passed over: b/y (unauthorized)' }),
  ],
  [
    'a later round is through when only models that cannot heal are left in it',
    situation(THREE, [
      failed('overloaded'),
      failed('unauthorized', { step: 1 }),
      skipped('incompatible', { step: 2 }),
      failed('overloaded', { round: 1 }),
    ]),
    wait(0, 2, between(1_000, 4_000)),
  ],
  [
    'a request that is too long for a model stays too long: it is not tried in another round',
    situation(chain([A, B]), [failed('context_length_exceeded'), failed('overloaded', { step: 1 })]),
    wait(1, 1, between(1_000, 2_000), { reason: reason(/; passed over: a\/x \(context_length_exceeded\)$/) }),
  ],
  [
    'a request that is too long for all models ends the job',
    situation(chain([A, B]), [
      failed('context_length_exceeded', { retryAfterMs: SECOND }),
      failed('context_length_exceeded', { step: 1 }),
    ]),
    fail(1, reason(/^context_length_exceeded: .* and none of the failures can heal$/)),
  ],
  [
    "a model's newest failure counts: what healed once may be past healing now",
    situation(chain([A, B]), [
      failed('overloaded'),
      failed('unauthorized', { step: 1 }),
      failed('quota_exhausted', { round: 1 }),
    ]),
    fail(2, reason(/none of the failures can heal$/)),
  ],
  [
    'a wait that used up the retries still leads to a round',
    situation(chain([step('a/x', { retries: 1 })]), [failed('timeout'), failed('timeout')]),
    wait(0, 1, between(1_000, 2_000), {
      reason: reason(
        /^timeout: 1 of 1 retries used; no model is left in round 1 of 3; round 2 begins with a\/x/,
      ),
    }),
  ],
  [
    'a turn at a limit of ours after the deadline is a guess: the job asks again in the time that it has',
    situation(chain([A]), [skipped('locally_limited', { retryAfterMs: 70 * SECOND })], {
      deadline: 60 * SECOND,
    }),
    wait(0, 0, between(30 * SECOND, 30 * SECOND), {
      reason: reason(/it begins again with a\/x in 30 s because locally_limited can heal$/),
    }),
  ],
  [
    'with the same decision when it asks',
    situation(chain([A]), [skipped('locally_limited', { retryAfterMs: 70 * SECOND })], {
      deadline: 60 * SECOND,
      now: 30 * SECOND,
    }),
    call(0, 0, {
      reason: reason(/it begins again with a\/x in 30 s because locally_limited can heal$/),
    }),
  ],
  [
    'and fails when no time is left to ask again',
    situation(chain([A]), [skipped('locally_limited', { retryAfterMs: 70 * SECOND })], { deadline: 100 }),
    fail(0, reason(/after the job's deadline$/)),
  ],
  [
    'a circuit that says when it opens is believed',
    situation(chain([A]), [skipped('circuit_open', { retryAfterMs: 70 * SECOND })], {
      deadline: 60 * SECOND,
    }),
    fail(0, reason(/after the job's deadline$/)),
  ],
  [
    'our own backoff leaves time for another call before the deadline',
    situation(chain([A]), [failed('overloaded')], { deadline: 1_500 }),
    wait(0, 1, between(0, 750)),
  ],
  [
    'a later question does not find a step that the round had given up',
    situation(
      chain([A, B]),
      [
        failed('overloaded'),
        failed('rate_limited', { step: 1, retryAfterMs: 5 * SECOND }),
        failed('overloaded', { round: 1, at: 3 * SECOND }),
      ],
      { now: HOUR },
    ),
    call(0, 2, { decision: 'wait' }),
  ],
];

describe.each([['rounds', rounds]])('next action, %s:', (_, cases) => {
  it.each(cases)('%s', (_name, asked, expected) => {
    expect(nextAction(asked)).toMatchObject(expected);
  });
});
