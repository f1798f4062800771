/**
 * A job's life in virtual time among providers that fail, limit, hang and heal, and workers that die: all of it drawn
 * from one seed, so that a life can be lived again.
 */
import type { Chain, Step } from '../../src/routing/chain.js';
import type { FailureClass } from '../../src/routing/failure.js';
import { type Action, nextAction, type PastAttempt } from '../../src/routing/next-action.js';

const START = 1_800_000_000_000;
/** The longest Retry-After, the longest time until a dead worker is found out, and the longest wait of our own. */
const MOST_ASKED_MS = 90_000;
const LEASE_MS = 15_000;
const MOST_LATE_MS = 2_000;
const LONGEST_BACKOFF_MS = 300_000;

type Draw = () => number;

/** mulberry32: small, even enough, and the same everywhere. */
export function drawFrom(seed: number): Draw {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
const whole = (draw: Draw, from: number, to: number): number => from + Math.floor(draw() * (to - from + 1));
const oneOf = <T>(draw: Draw, values: readonly [T, ...T[]]): T =>
  values[whole(draw, 0, values.length - 1)] ?? values[0];

const AILMENTS = ['fails', 'limits', 'hangs', 'is held back', 'cannot', 'mixed'] as const;

/** A model behind one step: what ails it, until when, and which of its keys were withdrawn. */
interface Provider {
  readonly ailment: (typeof AILMENTS)[number];
  /** Milliseconds after the job's start; Infinity for never. */
  readonly healsAfterMs: number;
  readonly keys: readonly string[];
  readonly withdrawn: ReadonlySet<string>;
}

/** A job and the world that it is born into. */
export interface World {
  readonly seed: number;
  readonly chain: Chain;
  readonly providers: readonly Provider[];
  readonly lifeMs: number;
  /** Workers die and come late, and healed models fail now and then, until so long after the job's start. */
  readonly calmAfterMs: number;
  /** True if the job has to end completed; `makeWorld` says when. */
  readonly isHopeful: boolean;
}

/** An attempt as the ledger holds it, with what was decided right after it. */
export interface LivedAttempt {
  readonly attempt: PastAttempt;
  /** The first answer after it, and when it was asked for. */
  readonly action: Action;
  readonly askedAtMs: number;
  /** True if the worker came back from the wait after it later than it was to. */
  readonly isOffTime: boolean;
}

export interface Life {
  readonly world: World;
  readonly deadlineMs: number;
  readonly attempts: readonly LivedAttempt[];
  /** All calls that were begun, with the time that each had. */
  readonly calls: readonly { readonly atMs: number; readonly timeoutMs: number }[];
  readonly end: Action;
  readonly endedAtMs: number;
}

/**
 * Draws a world. Half of the jobs are hopeful: such a job has to end completed, because
 *
 * - rounds and calls are more than it can use, and no rule of a policy ends it or waits for one model without end;
 * - one model fails, while it is ill, in ways that can heal, and one of its keys at least is good;
 * - from a moment on, that model answers each call, workers live and come in time;
 * - between that moment and the deadline there is time for the longest wait that may have just begun (a Retry-After or
 *   our own longest backoff) and twice for a walk through the chain at its slowest: the one that is under way, which may
 *   have passed the model already, and the next.
 */
export function makeWorld(seed: number): World {
  const draw = drawFrom(seed);
  const isHopeful = draw() < 0.5;
  const steps = Array.from({ length: whole(draw, 1, 4) }, (_, index) => makeStep(draw, index, isHopeful));
  const providers = steps.map(() => makeProvider(draw));
  const chain: Chain = {
    steps,
    rounds: isHopeful ? 10_000 : whole(draw, 1, 4),
    maxAttempts: isHopeful ? 10_000 : whole(draw, 1, 15),
    plan: null,
  };
  if (!isHopeful)
    return { seed, chain, providers, lifeMs: whole(draw, 100, 1_200_000), calmAfterMs: Infinity, isHopeful };

  const healsAfterMs = whole(draw, 0, 300_000);
  const healer = whole(draw, 0, steps.length - 1);
  const keys = providers[healer]?.keys ?? [];
  providers[healer] = {
    ailment: oneOf(draw, ['fails', 'limits', 'hangs', 'is held back']),
    healsAfterMs,
    keys,
    withdrawn: new Set(keys.slice(1).filter(() => draw() < 0.3)),
  };
  const walkMs = steps.reduce((sum, step, index) => sum + slowestMs(step, providers[index]), 0);
  const lifeMs = Math.ceil(healsAfterMs + LONGEST_BACKOFF_MS + 2 * walkMs);
  return { seed, chain, providers, lifeMs, calmAfterMs: healsAfterMs, isHopeful };
}

/** The longest that a walk can stay at a step: every call hangs, every retry is held up, all patience is used. */
function slowestMs({ retries, patienceMs, timeoutMs }: Step, provider: Provider | undefined): number {
  const calls = (retries + 2) * (provider?.keys.length ?? 1);
  return calls * (timeoutMs + LEASE_MS) + (retries + 1) * (1.1 * MOST_ASKED_MS + MOST_LATE_MS) + patienceMs;
}

function makeStep(draw: Draw, index: number, isHopeful: boolean): Step {
  const rules = isHopeful ? (['retry'] as const) : (['retry', 'next', 'wait', 'stop'] as const);
  const classes = ['rate_limited', 'locally_limited', 'timeout', 'malformed', 'unauthorized'] as const;
  const on = draw() < 0.3 ? { [oneOf(draw, classes)]: oneOf(draw, rules) } : {};
  return {
    model: `provider-${index}/model`,
    retries: draw() < 0.5 ? 0 : whole(draw, 1, 3),
    timeoutMs: whole(draw, 10, 30_000),
    patienceMs: draw() < 0.4 ? 0 : whole(draw, 1, 120_000),
    overrides: {},
    on,
    expect: null,
  };
}

function makeProvider(draw: Draw): Provider {
  const keys = ['one', 'two', 'three'].slice(0, whole(draw, 1, 3));
  return {
    ailment: oneOf(draw, AILMENTS),
    healsAfterMs: draw() < 0.3 ? Infinity : whole(draw, 0, 300_000),
    keys,
    withdrawn: new Set(keys.filter(() => draw() < 0.2)),
  };
}

/** Lives a job's life: asks, does as it is told, writes down, asks again. */
export function live(world: World): Life {
  const { chain, providers, seed } = world;
  // Living is drawn apart from making, so that the same world can be lived in with other rules.
  const draw = drawFrom(seed ^ 0x5bf03635);
  const deadlineMs = START + world.lifeMs;
  const keyCounts = providers.map(({ keys }) => keys.length);
  const attempts: PastAttempt[] = [];
  const lived: { attempt: PastAttempt; action: Action; askedAtMs: number; isOffTime: boolean }[] = [];
  const calls: { atMs: number; timeoutMs: number }[] = [];
  let nowMs = START;
  let isRoom = false;
  for (;;) {
    const action = nextAction({ chain, attempts, nowMs, deadlineMs, seed, keyCounts, isRoom });
    const last = attempts.at(-1);
    if (last && lived.length < attempts.length) {
      lived.push({ attempt: last, action, askedAtMs: nowMs, isOffTime: false });
    }
    switch (action.type) {
      case 'call': {
        const attempt = meet(world, draw, attempts, action, nowMs);
        if (attempt.outcome !== 'skipped') calls.push({ atMs: nowMs, timeoutMs: action.timeoutMs });
        attempts.push({ ...attempt, endedAtMs: Math.min(attempt.endedAtMs, deadlineMs) });
        nowMs = Math.min(attempt.endedAtMs, deadlineMs);
        isRoom = false;
        break;
      }
      case 'wait': {
        const hasRoom: boolean = !isRoom && draw() < 0.1;
        const lateMs = isCalm(world, nowMs) || draw() < 0.7 ? 0 : whole(draw, 1, MOST_LATE_MS);
        const comesMs = hasRoom ? whole(draw, nowMs, action.untilMs) : action.untilMs + lateMs;
        const asked = lived.at(-1);
        if (asked) asked.isOffTime ||= lateMs > 0 && !hasRoom;
        // A sweeper ends the job at its deadline, however late the worker would come.
        nowMs = Math.min(comesMs, deadlineMs);
        isRoom = hasRoom;
        break;
      }
      default:
        return { world, deadlineMs, attempts: lived, calls, end: action, endedAtMs: nowMs };
    }
  }
}

function isCalm({ calmAfterMs }: World, nowMs: number): boolean {
  return nowMs - START >= calmAfterMs;
}

type Call = Extract<Action, { type: 'call' }>;

/** What comes of a call, or why it is not made. */
function meet(
  world: World,
  draw: Draw,
  past: readonly PastAttempt[],
  call: Call,
  nowMs: number,
): PastAttempt {
  const provider = world.providers[call.step];
  if (provider === undefined) throw new Error('each step has a provider');
  const place = { step: call.step, round: call.round, retryAfterMs: null };
  const isRough = !isCalm(world, nowMs);
  if (isRough && call.reason.endsWith('with another key') && draw() < 0.2) {
    return { ...place, ...skip(draw, 'circuit_open'), endedAtMs: nowMs };
  }
  const keyId = chooseKey(provider, draw, past, call);
  if (isRough && draw() < 0.05) {
    const outcome = oneOf(draw, ['interrupted', 'superseded'] as const);
    const diedMs = whole(draw, 0, call.timeoutMs + LEASE_MS);
    return { ...place, outcome, class: null, keyId, endedAtMs: nowMs + diedMs };
  }
  const tookMs = whole(draw, 0, call.timeoutMs);
  if (provider.withdrawn.has(keyId)) {
    return { ...place, outcome: 'failed', class: 'unauthorized', keyId, endedAtMs: nowMs + tookMs };
  }
  const isIll = nowMs - START < provider.healsAfterMs || (isRough && draw() < 0.1);
  if (!isIll && provider.ailment !== 'cannot') {
    return { ...place, outcome: 'succeeded', class: null, keyId, endedAtMs: nowMs + tookMs };
  }
  const failure = suffer(draw, provider.ailment);
  const endedAtMs =
    nowMs + (failure.outcome === 'skipped' ? 0 : failure.class === 'timeout' ? call.timeoutMs : tookMs);
  return { ...place, ...failure, keyId: failure.outcome === 'skipped' ? null : keyId, endedAtMs };
}

/** A key that has not failed here yet; else one that is good, if there is one: a withdrawn key rests. */
function chooseKey(
  { keys, withdrawn }: Provider,
  draw: Draw,
  past: readonly PastAttempt[],
  at: Call,
): string {
  const here = past.filter(
    ({ step, round, outcome }) => step === at.step && round === at.round && outcome === 'failed',
  );
  const untried = keys.filter((key) => here.every(({ keyId }) => keyId !== key));
  const good = keys.filter((key) => !withdrawn.has(key));
  const choice = untried.length > 0 ? untried : good.length > 0 ? good : keys;
  return choice[whole(draw, 0, choice.length - 1)] ?? '';
}

interface Suffered {
  readonly outcome: 'failed' | 'skipped';
  readonly class: FailureClass;
  readonly retryAfterMs: number | null;
}

function skip(draw: Draw, name: FailureClass): Suffered & { keyId: null } {
  const retryAfterMs = draw() < 0.3 ? null : whole(draw, draw() < 0.05 ? 1 : 2_000, MOST_ASKED_MS);
  return { outcome: 'skipped', class: name, retryAfterMs, keyId: null };
}

function suffer(draw: Draw, ailment: Provider['ailment']): Suffered {
  const failed = (name: FailureClass, retryAfterMs: number | null = null): Suffered => ({
    outcome: 'failed',
    class: name,
    retryAfterMs,
  });
  switch (ailment) {
    case 'fails':
      return failed(oneOf(draw, ['server_error', 'connect_failed', 'connection_lost', 'malformed', 'empty']));
    case 'limits':
      return failed(
        oneOf(draw, ['rate_limited', 'overloaded']),
        draw() < 0.5 ? null : whole(draw, 0, MOST_ASKED_MS),
      );
    case 'hangs':
      return failed('timeout');
    case 'is held back':
      return skip(draw, oneOf(draw, ['locally_limited', 'circuit_open']));
    case 'cannot':
      return draw() < 0.3
        ? { outcome: 'skipped', class: 'incompatible', retryAfterMs: null }
        : failed(oneOf(draw, ['model_not_found', 'context_length_exceeded', 'refused', 'quota_exhausted']));
    case 'mixed':
      return suffer(draw, oneOf(draw, ['fails', 'limits', 'hangs', 'is held back', 'cannot']));
  }
}
