import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Chain } from './chain.js';
import { FAILURES } from './failure.js';
import { nextAction, type PastAttempt } from './next-action.js';
import { type Life, live, type LivedAttempt, makeWorld } from '../../test/support/simulated-world.js';

const LIVES = 10_000;
/** Set to the seed that a failure printed, it lives that one life again. */
const ONLY = process.env['SIMULATION_SEED'];

/** The names of the promises that a life broke. */
function broken(life: Life): string[] {
  const promises = { ...promisesOfEnd(life), ...promisesOfBounds(life), ...promisesOfRecord(life) };
  return Object.entries(promises).flatMap(([name, isKept]) => (isKept ? [] : [name]));
}

function promisesOfEnd({ world, end, endedAtMs, deadlineMs, attempts }: Life) {
  const last = attempts.at(-1)?.attempt.outcome;
  return {
    'the job ends at its deadline at the latest': endedAtMs <= deadlineMs,
    'the job is completed if and only if a model answered':
      (end.type === 'succeed') === (last === 'succeeded'),
    'a job that may hope ends completed': !world.isHopeful || end.type === 'succeed',
  };
}

function promisesOfBounds({ world: { chain, providers }, calls, deadlineMs, attempts }: Life) {
  return {
    'each call ends before the job': calls.every(({ atMs, timeoutMs }) => atMs + timeoutMs < deadlineMs),
    'there are no more calls than the chain allows': calls.length <= chain.maxAttempts,
    'there are no more rounds than the chain has': attempts.every(
      ({ attempt }) => attempt.round < chain.rounds,
    ),
    'no step is retried more often in a round than it may be': countsHere(attempts, /: retry \d+ of/).every(
      ([step, count]) => count <= (chain.steps[step]?.retries ?? 0),
    ),
    'no step is tried with more keys in a round than there are': countsHere(
      attempts,
      /with another key$/,
    ).every(([step, count]) => count < (providers[step]?.keys.length ?? 1)),
    'no job waits for a model longer than it is patient, while it could call another': attempts.every(
      (_, index) => isPatient(attempts.slice(0, index + 1), chain),
    ),
  };
}

/** How often a reason was given at each step in each round where it was given: the step, and the count. */
function countsHere(attempts: readonly LivedAttempt[], pattern: RegExp): [step: number, count: number][] {
  const counts = new Map<string, [number, number]>();
  for (const { attempt } of attempts.filter((at) => pattern.test(at.action.reason))) {
    const place = `${attempt.step} ${attempt.round}`;
    counts.set(place, [attempt.step, (counts.get(place)?.[1] ?? 0) + 1]);
  }
  return [...counts.values()];
}

/**
 * True unless the last attempt is followed by a wait for its own model that is longer than it may be, though a model
 * behind it can surely be called: one that was never met, or whose last failure can heal and asks for no more time.
 */
function isPatient(attempts: readonly LivedAttempt[], chain: Chain): boolean {
  const last = attempts.at(-1);
  if (last?.action.type !== 'wait') return true;
  const { attempt, action } = last;
  const step = chain.steps[attempt.step];
  const isHere = ({ attempt: one }: LivedAttempt) => one.step === attempt.step && one.round === attempt.round;
  const isElsewhere = action.step !== attempt.step || action.round !== attempt.round;
  const waitsByRule = attempt.class !== null && step?.on[attempt.class] === 'wait';
  if (step === undefined || isElsewhere || waitsByRule || !couldGoOn(attempts, chain)) return true;

  const stay = attempts.slice(attempts.findLastIndex((one) => !isHere(one)) + 1);
  const sinceMs = stay.find((one) => asksForTime(one.attempt))?.attempt.endedAtMs ?? Infinity;
  if (action.untilMs - sinceMs <= step.patienceMs) return true;
  const [, nth] = /: retry (\d+) of/.exec(action.reason) ?? [];
  return action.untilMs - attempt.endedAtMs <= (nth ? Math.min(30_000, 500 * 2 ** (Number(nth) - 1)) : 0);
}

function couldGoOn(attempts: readonly LivedAttempt[], chain: Chain): boolean {
  const here = attempts.at(-1)?.attempt;
  if (here === undefined) return false;
  return chain.steps.some((_, index) => {
    const name = attempts.findLast(
      ({ attempt }) => attempt.step === index && attempt.class !== null,
    )?.attempt;
    const isOpen =
      !name?.class ||
      (FAILURES[name.class].heals && name.endedAtMs + (name.retryAfterMs ?? 0) <= here.endedAtMs);
    return index > here.step && isOpen;
  });
}

function asksForTime({ class: name, retryAfterMs }: PastAttempt): boolean {
  if (name === null) return false;
  return (
    ['locally_limited', 'circuit_open'].includes(name) || (FAILURES[name].heals && (retryAfterMs ?? 0) > 0)
  );
}

function promisesOfRecord(life: Life) {
  const { attempts, end } = life;
  return {
    'each attempt says what was decided, and that is what followed': attempts.every((at, index) =>
      isFollowed(life, at, attempts[index + 1]?.attempt),
    ),
    'the end says why': end.reason.length > 0,
    'the same record gives the same answer when it is asked again': isReplayed(life),
  };
}

/** True if the next attempt is what the decision after `at` announced. Nothing follows an end, and a deadline that came first. */
function isFollowed(
  { world, end }: Life,
  { attempt, action, isOffTime }: LivedAttempt,
  next?: PastAttempt,
): boolean {
  const { decision, reason } = action;
  if (action.type !== 'call' && action.type !== 'wait')
    return next === undefined && end.decision === decision;
  if (next === undefined) return end.type === 'expire';
  const isNamed = reason.includes(world.chain.steps[next.step]?.model ?? '?');
  const isSame = next.step === attempt.step && next.round === attempt.round;
  switch (decision) {
    case 'retry':
      return isSame;
    case 'next':
      return isNamed && next.step > attempt.step && next.round === attempt.round;
    case 'wait':
      // A worker that comes late may find a model nearer to the head of the chain.
      return (
        (isNamed || (isOffTime && next.step < action.step)) && [0, 1].includes(next.round - attempt.round)
      );
    case 'accept':
    case 'stop':
      return false;
  }
}

/** Asks again after each attempt, from what a database would give back: right after it, and when its wait was over. */
function isReplayed({ world: { chain, providers, seed }, deadlineMs, attempts }: Life): boolean {
  const ledger = JSON.parse(JSON.stringify(attempts.map(({ attempt }) => attempt))) as PastAttempt[];
  const keyCounts = providers.map(({ keys }) => keys.length);
  return attempts.every(({ action, askedAtMs }, index) => {
    const ask = (nowMs: number) =>
      nextAction({
        chain,
        attempts: ledger.slice(0, index + 1),
        nowMs,
        deadlineMs,
        seed,
        keyCounts,
        isRoom: false,
      });
    const later = action.type === 'wait' ? ask(action.untilMs) : action;
    const isTold = later.decision === action.decision && later.reason === action.reason;
    return isTold && isDeepStrictEqual(ask(askedAtMs), action);
  });
}

/** What must have come up in so many lives, or they have shown nothing. */
const TURNS = {
  'a job was completed': /^succeeded/,
  'a job ran into its deadline': /^the job's deadline/,
  'a retry': /: retry \d+ of \d+ in /,
  'a retry that was not worth its Retry-After': /no retry, because it asks for/,
  'another key': /with another key$/,
  'a patient wait': /of the patience of .* used by then$/,
  'a patience that did not reach': /does not reach; on to/,
  'a wait of the policy': /: the policy waits for/,
  'a stop of the policy': /: the policy ends the job on it/,
  'a new round': /; round \d+ begins with/,
  'a round that could call nothing': /; it begins again with/,
  'a last round': /which was the last$/,
  'a chain that cannot heal': /none of the failures can heal$/,
  'all calls made': /all calls that the chain allows are made/,
  'a dead worker': /^interrupted/,
  'an answer that came too late': /^superseded/,
};

describe('In simulated lives', () => {
  const first = ONLY === undefined ? randomInt(2 ** 31) : Number(ONLY);

  it('every promise is kept, and everything that can happen to a job has happened', () => {
    const told = new Set<string>();
    const lives = ONLY === undefined ? LIVES : 1;
    for (let seed = first; seed < first + lives; seed++) {
      const life = live(makeWorld(seed));
      // What is compared is printed: with this seed the same life can be lived again.
      expect({ SIMULATION_SEED: seed, broken: broken(life) }).toEqual({ SIMULATION_SEED: seed, broken: [] });
      for (const { reason } of [...life.attempts.map(({ action }) => action), life.end]) told.add(reason);
    }
    const reasons = [...told];
    const missing = Object.entries(TURNS).flatMap(([name, pattern]) =>
      ONLY !== undefined || reasons.some((one) => pattern.test(one)) ? [] : [name],
    );
    expect(missing).toEqual([]);
  }, 300_000);

  it('the same seed gives the same life', () => {
    expect(live(makeWorld(first))).toEqual(live(makeWorld(first)));
  });
});
