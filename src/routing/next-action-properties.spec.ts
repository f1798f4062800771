import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Chain, Step } from './chain.js';
import { FAILURE_CLASSES, RULE_DECISIONS } from './failure.js';
import { type Action, nextAction, type PastAttempt } from './next-action.js';
import type { Situation } from './situation.js';

const START = 1_800_000_000_000;
const RUNS = { numRuns: 1_000 };

const failureClass = fc.constantFrom(...FAILURE_CLASSES);
const retryAfterMs = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 120_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, Number.MAX_VALUE, Infinity, Number.NaN) },
  { weight: 1, arbitrary: fc.double({ noNaN: true }) },
);

const step: fc.Arbitrary<Step> = fc.record({
  model: fc.constantFrom('a/x', 'b/y', 'c/z'),
  retries: fc.nat(3),
  timeoutMs: fc.integer({ min: 1, max: 120_000 }),
  patienceMs: fc.oneof(fc.constant(0), fc.nat(1_000), fc.nat(200_000)),
  expect: fc.constant(null),
  overrides: fc.constant({}),
  on: fc.dictionary(failureClass, fc.constantFrom(...RULE_DECISIONS), { maxKeys: 4 }),
});
const chain: fc.Arbitrary<Chain> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 5 }),
  rounds: fc.integer({ min: 1, max: 4 }),
  maxAttempts: fc.integer({ min: 1, max: 12 }),
  plan: fc.constant(null),
});
const keyCounts = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 5 });
const keyId = fc.constantFrom(null, 'one', 'two', 'three');
const seed = fc.integer({ min: 0, max: 0xffffffff });

/** What one call comes to; the script of a job is played in a circle. */
const event = fc.record({
  outcome: fc.oneof(
    { weight: 10, arbitrary: fc.constantFrom('failed' as const, 'skipped' as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('succeeded' as const, 'interrupted' as const, 'superseded' as const),
    },
  ),
  class: failureClass,
  retryAfterMs,
  durationMs: fc.oneof(fc.nat(500), fc.nat(200_000)),
  /** How much later than `untilMs` the worker comes back from a wait before the call. */
  lateMs: fc.oneof(fc.constant(0), fc.nat(30_000)),
  keyId,
  /** How much of a wait passes before room is made; nothing is called then, unless it was room that the job waited for. */
  roomAfter: fc.oneof(fc.constant(null), fc.double({ min: 0, max: 1, noNaN: true })),
});
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

const job = fc.record({
  chain,
  seed,
  keyCounts,
  lifeMs: fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 5_000, max: 900_000 })),
  script: fc.array(event, { minLength: 1, maxLength: 30 }),
});
type Job = typeof job extends fc.Arbitrary<infer T> ? T : never;

interface Asked {
  readonly situation: Situation;
  readonly action: Action;
}

/** Room is an event of the world: nothing but the world bounds how often it is made. */
const MOST_ROOMS = 20;

/** Walks a job to its end on a clock of its own; gives every question with its answer. */
function walk({ chain: asked, seed: drawnFrom, keyCounts: keys, lifeMs, script }: Job): Asked[] {
  const trail: Asked[] = [];
  const attempts: PastAttempt[] = [];
  const mostAsks = boundOfAsks(asked, lifeMs);
  let nowMs = START;
  let roomsLeft = MOST_ROOMS;
  let isRoom = false;
  while (trail.length <= mostAsks) {
    const situation: Situation = {
      chain: asked,
      attempts: [...attempts],
      nowMs,
      deadlineMs: START + lifeMs,
      seed: drawnFrom,
      keyCounts: keys,
      isRoom,
    };
    const action = nextAction(situation);
    trail.push({ situation, action });
    const next = script[attempts.length % script.length];
    if (next === undefined) throw new Error('a script is never empty');
    if (action.type === 'wait') {
      isRoom = next.roomAfter !== null && !isRoom && roomsLeft > 0;
      if (isRoom) roomsLeft--;
      const wholeMs = action.untilMs - nowMs;
      nowMs += isRoom ? Math.floor(wholeMs * (next.roomAfter ?? 0)) : wholeMs + next.lateMs;
    } else if (action.type === 'call') {
      nowMs += next.outcome === 'skipped' ? 1 : Math.min(next.durationMs, action.timeoutMs);
      attempts.push(play(next, action, nowMs));
      isRoom = false;
    } else {
      return trail;
    }
  }
  throw new Error(`the job did not end in ${mostAsks} questions`);
}

function play(next: Event, at: { step: number; round: number }, nowMs: number): PastAttempt {
  const hasClass = next.outcome === 'failed' || next.outcome === 'skipped';
  return {
    step: at.step,
    round: at.round,
    outcome: next.outcome,
    class: hasClass ? next.class : null,
    retryAfterMs: hasClass ? next.retryAfterMs : null,
    keyId: next.outcome === 'skipped' ? null : next.keyId,
    endedAtMs: nowMs,
  };
}

/**
 * Calls are bounded by the chain. A model that is skipped again and again is bounded by time: between two walks at least
 * a quarter of a second passes, or half of what is left of the job (which can be halved 25 times before no call fits).
 */
function boundOfAsks({ steps, maxAttempts }: Chain, lifeMs: number): number {
  const attemptsInWalk = steps.reduce((sum, { retries }) => sum + 1 + retries, 0);
  const walks = maxAttempts + lifeMs / 250 + 25 + MOST_ROOMS;
  return 2 * (maxAttempts + walks * attemptsInWalk * 2) + 2;
}

/** Histories that no walk need have led to: whatever the ledger may hold. */
const anySituation: fc.Arbitrary<Situation> = chain.chain((asked) =>
  fc
    .record({
      attempts: fc.array(
        fc.record({
          step: fc.nat(asked.steps.length - 1),
          round: fc.nat(asked.rounds - 1),
          outcome: fc.constantFrom(
            'succeeded',
            'failed',
            'skipped',
            'interrupted',
            'cancelled',
            'superseded',
          ),
          class: failureClass,
          retryAfterMs,
          keyId,
          endedAtMs: fc.integer({ min: START, max: START + 300_000 }),
        }),
        { maxLength: 15 },
      ),
      nowMs: fc.integer({ min: START, max: START + 400_000 }),
      lifeMs: fc.integer({ min: 1, max: 900_000 }),
      seed,
      keyCounts,
      isRoom: fc.boolean(),
    })
    .map(({ lifeMs, ...rest }) => ({ ...rest, chain: asked, deadlineMs: START + lifeMs })),
);

/** What must hold of every answer, whatever was asked: the names of the promises that this one breaks. */
function broken({ situation, action }: Asked): string[] {
  const promises: Record<string, boolean> = {
    'the same question has the same answer': isDeepStrictEqual(
      nextAction(structuredClone(situation)),
      action,
    ),
    'the reason can be read': !/undefined|null|NaN|Infinity/.test(action.reason),
    'room changes neither decision nor reason': isDeepStrictEqual(
      words(nextAction({ ...situation, isRoom: !situation.isRoom })),
      words(action),
    ),
    ...(action.type === 'call' || action.type === 'wait' ? promisesOfPlace(situation, action) : {}),
    ...(action.type === 'call' ? promisesOfCall(situation, action) : {}),
    ...(action.type === 'wait' ? promisesOfWait(situation, action) : {}),
    ...(action.type === 'fail' ? promisesOfFail(situation, action) : {}),
  };
  return Object.keys(promises).filter((name) => promises[name] !== true);
}

function words({ decision, reason }: Action): object {
  return { decision, reason };
}

type Of<Type extends Action['type']> = Extract<Action, { readonly type: Type }>;

function promisesOfPlace(situation: Situation, action: Of<'call' | 'wait'>) {
  const { chain: asked, attempts } = situation;
  const { step: index, round } = action;
  return {
    'the step is in the chain': asked.steps[index] !== undefined,
    'the round is in the chain': round >= 0 && round < asked.rounds,
    'the calls are not used up': callsOf(attempts).length < asked.maxAttempts,
    'a model is called again with another key only if it has one': hasKeyLeft(situation, action),
  };
}

function hasKeyLeft({ attempts, keyCounts: keys }: Situation, action: Of<'call' | 'wait'>): boolean {
  if (!action.reason.endsWith('with another key')) return true;
  const here = attempts.filter(
    ({ step: index, round, outcome }) =>
      index === action.step && round === action.round && outcome === 'failed',
  );
  const tried = new Set(here.map((one) => one.keyId).filter((key) => key !== null));
  return action.type === 'call' && tried.size < (keys[action.step] ?? 1);
}

function promisesOfCall(
  { chain: asked, nowMs, deadlineMs }: Situation,
  { step: index, timeoutMs }: Of<'call'>,
) {
  return {
    'the timeout is a length of time': Number.isInteger(timeoutMs) && timeoutMs > 0,
    "the timeout is the step's at most": timeoutMs <= (asked.steps[index]?.timeoutMs ?? 0),
    'the call ends before the job': nowMs + timeoutMs < deadlineMs,
  };
}

function promisesOfWait(situation: Situation, action: Of<'wait'>) {
  const { type: _type, untilMs, ...same } = action;
  const {
    type,
    timeoutMs: _timeoutMs,
    ...after
  } = nextAction({ ...situation, nowMs: untilMs }) as Of<'call'>;
  return {
    'the wait is until a moment': Number.isSafeInteger(untilMs),
    'the wait lies ahead': untilMs > situation.nowMs,
    'a patient wait ends with the patience': isWithinPatience(situation, action),
    'the wait ends before the job': untilMs < situation.deadlineMs,
    'the wait is followed by a call': type === 'call',
    'the call after a wait says what the wait said': isDeepStrictEqual(after, same),
  };
}

/** Whatever the model asked for: from the end of the last attempt on, no patient wait is longer than the patience. */
function isWithinPatience(
  { chain: asked, attempts }: Situation,
  { step: index, untilMs, reason }: Of<'wait'>,
) {
  if (!reason.includes('of the patience of')) return true;
  return untilMs - (attempts.at(-1)?.endedAtMs ?? 0) <= (asked.steps[index]?.patienceMs ?? 0);
}

/** A model's own failure where there is one, else a skipped model, else what there is. */
function promisesOfFail({ attempts }: Situation, { attempt }: Of<'fail'>) {
  const isLast = attempt === attempts.length - 1;
  const has = (outcome: string): boolean => attempts.some((one) => one.outcome === outcome);
  const shown = attempts[attempt]?.outcome;
  const isRight =
    shown === 'failed' ||
    (shown === 'skipped' && (isLast || !has('failed'))) ||
    (isLast && (shown === 'cancelled' || (!has('failed') && !has('skipped'))));
  return { 'the failure shown is the right one': shown !== 'succeeded' && isRight };
}

function callsOf(attempts: readonly PastAttempt[]): PastAttempt[] {
  return attempts.filter(({ outcome }) => outcome !== 'skipped');
}

describe('whatever happens to a job,', () => {
  it('the job ends, and every answer on the way keeps its promises', () => {
    fc.assert(
      fc.property(job, (asked) => {
        expect(walk(asked).flatMap(broken)).toEqual([]);
      }),
      RUNS,
    );
  });

  it('no more models are called than the chain allows, and none at or after the deadline', () => {
    fc.assert(
      fc.property(job, (asked) => {
        const called = callsOf(walk(asked).at(-1)?.situation.attempts ?? []);
        expect(called.length).toBeLessThanOrEqual(asked.chain.maxAttempts);
        expect(called.filter(({ endedAtMs }) => endedAtMs >= START + asked.lifeMs)).toEqual([]);
      }),
      RUNS,
    );
  });

  it('two waits never follow one another where no room is made', () => {
    fc.assert(
      fc.property(job, (asked) => {
        const script = asked.script.map((one) => ({ ...one, roomAfter: null }));
        const types = walk({ ...asked, script }).map(({ action }) => action.type);
        expect(types.join(' ')).not.toContain('wait wait');
      }),
      RUNS,
    );
  });

  it('each step of the first round is considered before a second round begins', () => {
    fc.assert(
      fc.property(job, (asked) => {
        const rounds = walk(asked).at(-1)?.situation.attempts ?? [];
        const second = rounds.findIndex(({ round }) => round === 1);
        const before = new Set(rounds.slice(0, Math.max(0, second)).map(({ step: index }) => index));
        expect(second < 0 || before.size === asked.chain.steps.length).toBe(true);
      }),
      RUNS,
    );
  });

  it('an answer to the first call is the only call', () => {
    fc.assert(
      fc.property(chain, seed, fc.integer({ min: 1_000, max: 900_000 }), (asked, drawnFrom, lifeMs) => {
        const script: Event[] = [
          {
            outcome: 'succeeded',
            class: 'timeout',
            retryAfterMs: null,
            durationMs: 10,
            lateMs: 0,
            keyId: null,
            roomAfter: null,
          },
        ];
        const trail = walk({ chain: asked, seed: drawnFrom, keyCounts: [], lifeMs, script });
        expect(trail.map(({ action }) => action.type)).toEqual(['call', 'succeed']);
        expect(trail[0]?.action).toMatchObject({ step: 0, round: 0 });
      }),
      RUNS,
    );
  });

  it('a job whose models stay out of reach lives until the last call before its deadline', () => {
    fc.assert(
      fc.property(chain, seed, fc.integer({ min: 1_000, max: 900_000 }), (asked, drawnFrom, lifeMs) => {
        const plain = { ...asked, steps: asked.steps.map((one) => ({ ...one, on: {} })) };
        const script: Event[] = [
          {
            outcome: 'skipped',
            class: 'circuit_open',
            retryAfterMs: null,
            durationMs: 0,
            lateMs: 0,
            keyId: null,
            roomAfter: null,
          },
        ];
        const end = walk({ chain: plain, seed: drawnFrom, keyCounts: [], lifeMs, script }).at(-1);
        expect(START + lifeMs - (end?.situation.nowMs ?? 0)).toBeLessThan(200);
      }),
      RUNS,
    );
  });
});

describe('whatever the ledger holds,', () => {
  it('the answer keeps its promises', () => {
    fc.assert(
      fc.property(anySituation, (situation) => {
        expect(broken({ situation, action: nextAction(situation) })).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });

  it('the answer does not change what was asked', () => {
    fc.assert(
      fc.property(anySituation, (situation) => {
        const before = structuredClone(situation);
        nextAction(situation);
        expect(situation).toEqual(before);
      }),
      RUNS,
    );
  });
});
