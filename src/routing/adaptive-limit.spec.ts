import {
  type AdaptiveLimit,
  began,
  type BegunCall,
  capOf,
  createAdaptiveLimit,
  ended,
} from './adaptive-limit.js';
import { draw } from './backoff.js';

const NOW = 1_800_000_000_000;
const MINUTE_MS = 60_000;

/** A limit and the calls that are in flight. */
interface Load {
  readonly limit: AdaptiveLimit;
  readonly calls: BegunCall[];
}

function begin(count: number): Load {
  const limit = createAdaptiveLimit();
  return { limit, calls: Array.from({ length: count }, () => began(limit, NOW)) };
}

/** The newest of so many calls was refused. */
function refuse({ limit, calls }: Load): void {
  const newest = calls.pop();
  if (newest) ended(limit, newest, true, NOW);
}

/** So many calls are borne, one after the other, and as many begin as may. */
function bear({ limit, calls }: Load, count: number): void {
  for (let n = 0; n < count; n += 1) {
    const oldest = calls.shift();
    if (oldest) ended(limit, oldest, false, NOW);
    while (limit.inFlight < capOf(limit, NOW)) calls.push(began(limit, NOW));
  }
}

describe('an adaptive limit', () => {
  it('is no limit while nothing is refused', () => {
    const { limit, calls } = begin(1_000);
    for (const call of calls) ended(limit, call, false, NOW);
    expect([capOf(limit, NOW), limit.inFlight]).toEqual([Infinity, 0]);
  });

  it.each([
    [2, 1],
    [3, 1],
    [41, 20],
    [1_000, 500],
  ])('is half of what is in flight when a call is refused: of %i, %i', (inFlight, half) => {
    const load = begin(inFlight);
    refuse(load);
    expect(capOf(load.limit, NOW)).toBe(half);
  });

  it('says nothing when a call is refused that was all alone', () => {
    const alone = begin(1);
    refuse(alone);
    expect(capOf(alone.limit, NOW)).toBe(Infinity);

    const load = begin(41);
    refuse(load);
    for (const call of load.calls.splice(1)) ended(load.limit, call, null, NOW);
    refuse(load);
    expect(capOf(load.limit, NOW)).toBe(20);
  });

  it('stays at half where all calls are refused at once, the first of them too', () => {
    const load = begin(50);
    for (const call of load.calls.splice(0)) ended(load.limit, call, true, NOW);
    expect(capOf(load.limit, NOW)).toBe(25);
    bear(load, 1_000);
    expect(capOf(load.limit, NOW)).toBeGreaterThan(50);
  });

  it.each([
    [4, 3],
    [6, 4],
    [10, 11],
    [20, 67],
  ])('asks for more in time where calls last a minute: after %i minutes it is %i', (minutes, cap) => {
    const load = begin(4);
    refuse(load);
    const { limit, calls } = load;
    for (let minute = 0; minute <= minutes; minute += 1) {
      const nowMs = NOW + minute * MINUTE_MS;
      for (const call of calls.splice(0)) ended(limit, call, false, nowMs);
      while (limit.inFlight < capOf(limit, nowMs)) calls.push(began(limit, nowMs));
    }
    expect(capOf(limit, NOW + minutes * MINUTE_MS)).toBe(cap);
  });

  it('takes hours of little use for no proof', () => {
    const load = begin(40);
    refuse(load);
    bear(load, 40);
    const before = capOf(load.limit, NOW);
    for (const call of load.calls.splice(0)) ended(load.limit, call, false, NOW);
    for (let n = 1; n <= 100; n += 1) {
      ended(load.limit, began(load.limit, NOW + n * MINUTE_MS), false, NOW + n * MINUTE_MS);
    }
    const later = NOW + 101 * MINUTE_MS;
    for (let n = 0; n < before; n += 1) load.calls.push(began(load.limit, later));
    for (const call of load.calls) ended(load.limit, call, false, later);
    expect(capOf(load.limit, later)).toBe(before);
  });

  it('is cut once for all calls that began before the cut', () => {
    const load = begin(40);
    for (let n = 0; n < 10; n += 1) refuse(load);
    expect(capOf(load.limit, NOW)).toBe(20);
  });

  it('is cut again for a call that began after the cut', () => {
    const load = begin(40);
    refuse(load);
    for (const call of load.calls.splice(20)) ended(load.limit, call, null, NOW);
    load.calls.push(began(load.limit, NOW));
    refuse(load);
    expect(capOf(load.limit, NOW)).toBe(10);
  });

  it.each([
    [0, 20],
    [1, 21],
    [10, 30],
    [19, 39],
    [20, 40],
    [259, 40],
    [260, 41],
    [500, 48],
    [740, 67],
  ])(
    'comes back to just under where it was refused, stays, then grows ever bolder: after %i calls it is %i',
    (count, cap) => {
      const load = begin(41);
      refuse(load);
      bear(load, count);
      expect(capOf(load.limit, NOW)).toBe(cap);
    },
  );

  it('asks for more only once in a hundred calls where it is small', () => {
    const load = begin(3);
    refuse(load);
    bear(load, 100);
    expect(capOf(load.limit, NOW)).toBe(2);
    bear(load, 1);
    expect(capOf(load.limit, NOW)).toBe(3);
  });

  it('knows the ceiling from the refused call that had the fewest beside it', () => {
    const load = begin(50);
    for (let n = 0; n < 10; n += 1) refuse(load);
    bear(load, 50);
    expect(capOf(load.limit, NOW)).toBe(40);
  });

  it('does not grow while it is not used', () => {
    const load = begin(40);
    refuse(load);
    bear(load, 100);
    for (const call of load.calls) ended(load.limit, call, false, NOW);
    const before = capOf(load.limit, NOW);
    for (let n = 0; n < 1_000; n += 1) ended(load.limit, began(load.limit, NOW), false, NOW);
    expect(capOf(load.limit, NOW)).toBe(before);
  });

  it('learns nothing from a call that was not made', () => {
    const load = begin(41);
    refuse(load);
    const before = { ...load.limit };
    for (let n = 0; n < 1_000; n += 1) ended(load.limit, began(load.limit, NOW), null, NOW);
    expect(load.limit).toEqual(before);
  });

  it.each([
    ['after five quiet minutes', 0, 5 * MINUTE_MS + 1, Infinity],
    ['not before', 0, 5 * MINUTE_MS, 1],
    ['not while a call is running', 1, 60 * MINUTE_MS, 1],
  ])('is forgotten: %s', (_, running, quietMs, cap) => {
    const load = begin(2);
    refuse(load);
    for (const call of load.calls) ended(load.limit, call, null, NOW);
    for (let n = 0; n < running; n += 1) began(load.limit, NOW);
    expect(capOf(load.limit, NOW + quietMs)).toBe(cap);
    began(load.limit, NOW + quietMs);
    expect(capOf(load.limit, NOW + quietMs)).toBe(cap);
  });
});

const HALF_MS = 150_000;
const REFUSAL_MS = 40;
const MEAN_CALL_MS = 1_000;
/** How many calls at once are wanted, all the time: more than can be had. */
const WANTED = 64;

/** How many calls at once a provider bears, in the first half of the time and in the second. */
interface Provider {
  readonly first: number;
  readonly second: number;
  readonly seed: number;
}

interface Tally {
  answered: number;
  refused: number;
}

interface Running {
  readonly by: AdaptiveLimit;
  readonly call: BegunCall;
  readonly isRefused: boolean;
  readonly endsAtMs: number;
}

/**
 * Calls a provider that refuses at once while it runs as many calls as it bears; the others last a random time (exponential).
 * `caps` are the caps of so many processes that do not know of each other: a number stands, null adapts.
 */
function simulate({ first, second, seed }: Provider, caps: readonly (number | null)[]): Tally {
  const workers = caps.map((cap) => ({ cap, limit: createAdaptiveLimit() }));
  const running: Running[] = [];
  const tally: Tally = { answered: 0, refused: 0 };
  let borne = 0;
  let nowMs = 0;
  let drawn = 0;
  const start = (by: AdaptiveLimit): void => {
    const isRefused = borne >= (nowMs < HALF_MS ? first : second);
    const tookMs = isRefused ? REFUSAL_MS : -MEAN_CALL_MS * Math.log(1 - draw(seed, (drawn += 1)));
    if (!isRefused) borne += 1;
    const endsAtMs = nowMs + tookMs;
    const later = running.findIndex((each) => each.endsAtMs > endsAtMs);
    running.splice(later < 0 ? running.length : later, 0, {
      by,
      call: began(by, nowMs),
      isRefused,
      endsAtMs,
    });
  };
  for (;;) {
    for (const { cap, limit } of workers) {
      const most = Math.min(WANTED / workers.length, cap ?? capOf(limit, nowMs));
      while (limit.inFlight < most) start(limit);
    }
    const next = running.shift();
    if (next === undefined || next.endsAtMs > 2 * HALF_MS) return tally;
    nowMs = next.endsAtMs;
    if (!next.isRefused) borne -= 1;
    tally[next.isRefused ? 'refused' : 'answered'] += 1;
    ended(next.by, next.call, next.isRefused, nowMs);
  }
}

describe('a provider whose limit changes half-way', () => {
  const seeds = [1, 2, 3, 4, 5];
  const changes = [
    [40, 15],
    [15, 40],
  ] as const;
  const table = changes.flatMap(([first, second]) => seeds.map((seed) => ({ first, second, seed })));

  it.each(table)(
    'is used nearly as well as with the best fixed cap: $first to $second, seed $seed',
    (provider) => {
      const fixed = [10, 15, 20, 30, 40].map((cap) => simulate(provider, [cap]).answered);
      const { answered, refused } = simulate(provider, [null]);
      expect(answered + refused).toBeGreaterThan(5_000);
      expect(answered).toBeGreaterThan(0.85 * Math.max(...fixed));
      expect(refused).toBeLessThan(0.02 * (answered + refused));
    },
  );

  it.each(table)('is shared by two processes: $first to $second, seed $seed', (provider) => {
    const { answered, refused } = simulate(provider, [null, null]);
    expect(answered).toBeGreaterThan(0.85 * simulate(provider, [20, 20]).answered);
    expect(refused).toBeLessThan(0.02 * (answered + refused));
  });
});
