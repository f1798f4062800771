import type { Chain, Step } from './chain.js';
import { FAILURE_CLASSES, type FailureClass, FAILURES, type Outcome } from './failure.js';
import { nextAction, type PastAttempt } from './next-action.js';
import type { Situation } from './situation.js';

/** Times in these tables are milliseconds since the job's start. */
const START = 1_800_000_000_000;
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

const step = (model: string, more: Partial<Step> = {}): Step => ({
  model,
  retries: 0,
  timeoutMs: 120 * SECOND,
  patienceMs: 0,
  overrides: {},
  on: {},
  expect: null,
  ...more,
});
const chain = (steps: readonly Step[], more: Partial<Chain> = {}): Chain => ({
  steps,
  rounds: 3,
  maxAttempts: 10,
  plan: null,
  ...more,
});
const A = step('a/x');
const B = step('b/y');
const C = step('c/z');
const THREE = chain([A, B, C]);

interface More {
  readonly step?: number;
  readonly round?: number;
  readonly at?: number;
  readonly retryAfterMs?: number;
}
const attempt = (outcome: Outcome, name: FailureClass | null, more: More): PastAttempt => ({
  step: more.step ?? 0,
  round: more.round ?? 0,
  outcome,
  class: name,
  retryAfterMs: more.retryAfterMs ?? null,
  keyId: null,
  endedAtMs: START + (more.at ?? 0),
});
const failed = (name: FailureClass, more: More = {}): PastAttempt => attempt('failed', name, more);
const skipped = (name: FailureClass, more: More = {}): PastAttempt => attempt('skipped', name, more);
const ended = (outcome: Outcome, more: More = {}): PastAttempt => attempt(outcome, null, more);

/** What is asked: by default right after the last attempt, a day before the deadline. */
interface Asked {
  readonly now?: number;
  readonly deadline?: number;
  readonly seed?: number;
}
const situation = (asked: Chain, attempts: readonly PastAttempt[], more: Asked = {}): Situation => ({
  chain: asked,
  attempts,
  nowMs: more.now === undefined ? (attempts.at(-1)?.endedAtMs ?? START) : START + more.now,
  deadlineMs: START + (more.deadline ?? DAY),
  seed: more.seed ?? 42,
  keyCounts: [],
  isRoom: false,
});

/** Matches a moment from `from` to `to`, in milliseconds since the job's start. */
const between = (from: number, to: number): unknown => ({
  asymmetricMatch: (value: unknown) =>
    typeof value === 'number' && value >= START + from && value <= START + to && Number.isInteger(value),
  toString: () => 'between',
  toAsymmetricMatcher: () => `from ${START + from} to ${START + to}`,
});
const reason = (pattern: RegExp): unknown => expect.stringMatching(pattern);

const call = (at: number, round: number, more: object = {}): object => ({
  type: 'call',
  step: at,
  round,
  ...more,
});
const wait = (at: number, round: number, untilMs: unknown, more: object = {}): object => ({
  type: 'wait',
  step: at,
  round,
  untilMs,
  ...more,
});
const fail = (index: number, why: unknown): object => ({
  type: 'fail',
  attempt: index,
  decision: 'stop',
  reason: why,
});

type Case = readonly [name: string, asked: Situation, expected: object];

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

const bounds: readonly Case[] = [
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
  ['retries', retries],
  ['Retry-After', retryAfters],
  ["the policy's rules", rules],
  ['rounds', rounds],
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
