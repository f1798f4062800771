/** What every limiter must do, as a table: deeds in time, and what comes of them. */
import type { CallLimits } from '../../src/config/config.js';
import type { Granted, Limiter, Refused } from '../../src/admission/limiter.js';

/** A limiter on a clock that the test sets. */
export interface TimedLimiter {
  readonly limiter: Limiter;
  readonly setNow: (ms: number) => void;
}

export interface LimiterCase {
  readonly name: string;
  readonly limits: Readonly<Record<string, CallLimits>>;
  readonly deeds: readonly Deed[];
}

export type Deed =
  | {
      readonly atMs: number;
      readonly verb: 'take';
      readonly id: string;
      readonly tokens: number;
      readonly answer: string;
    }
  | {
      readonly atMs: number;
      readonly verb: 'giveBack';
      readonly id: string;
      readonly usedTokens: number | null;
    }
  | { readonly atMs: number; readonly verb: 'renew'; readonly id: string };

/** `answer` is `ok`, or the limit's name, its kind and the milliseconds to come back in. */
export const take = (atMs: number, id: string, answer: string, tokens = 0): Deed => ({
  atMs,
  verb: 'take',
  id,
  tokens,
  answer,
});
export const giveBack = (atMs: number, id: string, usedTokens: number | null): Deed => ({
  atMs,
  verb: 'giveBack',
  id,
  usedTokens,
});
export const renew = (atMs: number, id: string): Deed => ({ atMs, verb: 'renew', id });
const takeMany = (atMs: number, count: number, tokens = 0): Deed[] =>
  Array.from({ length: count }, (_, n) => take(atMs, `at-${atMs}-${n}`, 'ok', tokens));

const HOLD_MS = 30_000;

/** Plays the deeds of a case, and gives what every taking was answered, and which calls have nothing to give back. */
export async function play(
  { limiter, setNow }: TimedLimiter,
  { limits, deeds }: LimiterCase,
): Promise<string[]> {
  const granted = new Map<string, Granted>();
  const answers: string[] = [];
  const named = Object.entries(limits).map(([name, each]) => ({ name, limits: each }));
  for (const deed of deeds) {
    setNow(deed.atMs);
    const held = granted.get(deed.id);
    if (deed.verb === 'take') {
      const { id, tokens } = deed;
      const taken = await limiter.take({ id, tokens, limits: named, holdMs: HOLD_MS });
      if (taken.ok) granted.set(id, taken);
      answers.push(wordsOf(taken));
    } else if (held === undefined) {
      answers.push(`${deed.id} has nothing`);
    } else if (deed.verb === 'giveBack') {
      await limiter.giveBack(held, deed.usedTokens);
    } else {
      await limiter.renew(held);
    }
  }
  return answers;
}

/** What a case says that {@link play} must give. */
export function answersOf({ deeds }: LimiterCase): string[] {
  return deeds.flatMap((deed) => (deed.verb === 'take' ? [deed.answer] : []));
}

function wordsOf(taken: Granted | Refused): string {
  return taken.ok ? 'ok' : `${taken.limit} ${taken.kind} ${taken.retryAfterMs}`;
}

export const LIMITER_CASES: readonly LimiterCase[] = [
  {
    name: 'without limits every call goes through',
    limits: {},
    deeds: takeMany(0, 50, 1_000_000),
  },
  {
    name: 'ten seconds of a minute may be used at once, and come back one by one',
    limits: { k: { rpm: 60 } },
    deeds: [
      ...takeMany(0, 10),
      take(0, 'a', 'k rpm 1000'),
      ...takeMany(1_000, 1),
      take(1_999, 'b', 'k rpm 1'),
      ...takeMany(2_000, 1),
      ...takeMany(120_000, 10),
      take(120_000, 'c', 'k rpm 1000'),
    ],
  },
  {
    name: 'a limit of less than six a minute still lets one through at a time',
    limits: { k: { rpm: 2 } },
    deeds: [
      take(0, 'a', 'ok'),
      take(0, 'b', 'k rpm 30000'),
      take(30_000, 'b', 'ok'),
      take(59_999, 'c', 'k rpm 1'),
    ],
  },
  {
    name: 'those who are refused are told one place after the other',
    limits: { k: { rpm: 60 } },
    deeds: [
      ...takeMany(0, 10),
      take(0, 'a', 'k rpm 1000'),
      take(0, 'b', 'k rpm 2000'),
      take(500, 'c', 'k rpm 2500'),
      take(1_000, 'a', 'ok'),
      take(1_000, 'd', 'k rpm 3000'),
    ],
  },
  {
    name: 'a line whose people went elsewhere is forgotten once the limit has rested',
    limits: { k: { rpm: 60 } },
    deeds: [
      ...takeMany(0, 10),
      take(0, 'a', 'k rpm 1000'),
      take(0, 'b', 'k rpm 2000'),
      take(0, 'c', 'k rpm 3000'),
      ...takeMany(6_000, 6),
      take(6_000, 'd', 'k rpm 1000'),
    ],
  },
  {
    name: 'places further than five minutes behind the first begin at the front again',
    limits: { k: { rpm: 1 } },
    deeds: [
      take(0, 'a', 'ok'),
      ...[60, 120, 180, 240, 300, 360, 60, 120].map((s, n) => take(0, `b${n}`, `k rpm ${s}000`)),
    ],
  },
  {
    name: 'a call that needs more tokens than a minute has goes through, and the next ones wait until it is paid for',
    limits: { k: { tpm: 6_000 } },
    deeds: [take(0, 'a', 'ok', 60_000), take(0, 'b', 'k tpm 590010', 1), take(590_010, 'b', 'ok', 1)],
  },
  {
    name: 'small calls do not keep a large one out',
    limits: { k: { tpm: 6_000 } },
    deeds: [...takeMany(0, 9, 100), take(0, 'large', 'ok', 3_000), take(0, 'small', 'k tpm 29010', 100)],
  },
  {
    name: 'waiting calls are told a place by the tokens of those before them',
    limits: { k: { tpm: 6_000 } },
    deeds: [
      take(0, 'a', 'ok', 1_000),
      take(0, 'b', 'k tpm 10', 500),
      take(0, 'c', 'k tpm 5010', 100),
      take(0, 'd', 'k tpm 6010', 100),
    ],
  },
  {
    name: 'tokens that were estimated and not used come back',
    limits: { k: { tpm: 6_000 } },
    deeds: [
      take(0, 'a', 'ok', 1_000),
      take(0, 'b', 'k tpm 10', 1),
      giveBack(0, 'a', 100),
      take(0, 'c', 'ok', 900),
    ],
  },
  {
    name: 'tokens that were used beyond the estimate are paid for',
    limits: { k: { tpm: 6_000 } },
    deeds: [
      take(0, 'a', 'ok', 100),
      giveBack(20_000, 'a', 1_600),
      take(20_000, 'b', 'k tpm 5010', 1),
      take(25_010, 'b', 'ok', 1),
    ],
  },
  {
    name: 'more tokens do not come back than there were',
    limits: { k: { tpm: 6_000 } },
    deeds: [
      take(0, 'a', 'ok', 600),
      giveBack(60_000, 'a', 0),
      take(60_000, 'b', 'ok', 1_000),
      take(60_000, 'c', 'k tpm 10', 1),
    ],
  },
  {
    name: 'a call that was not made gives everything back',
    limits: { k: { rpm: 6, tpm: 6_000, concurrency: 1 } },
    deeds: [
      take(0, 'a', 'ok', 5_000),
      giveBack(0, 'a', null),
      take(0, 'b', 'ok', 5_000),
      take(0, 'c', 'k tpm 40010', 1),
    ],
  },
  {
    name: 'a call that was made keeps its place in the minute',
    limits: { k: { rpm: 6 } },
    deeds: [take(0, 'a', 'ok'), giveBack(0, 'a', 0), take(0, 'b', 'k rpm 10000')],
  },
  {
    name: 'only so many calls run at the same time',
    limits: { k: { concurrency: 2 } },
    deeds: [
      take(0, 'a', 'ok'),
      take(0, 'b', 'ok'),
      take(0, 'c', 'k concurrency 500'),
      take(0, 'd', 'k concurrency 1000'),
      giveBack(500, 'a', 0),
      take(500, 'c', 'ok'),
      take(500, 'e', 'k concurrency 1000'),
    ],
  },
  {
    name: 'how long calls last is learned from those that end',
    limits: { k: { concurrency: 2 } },
    deeds: [
      take(0, 'a', 'ok'),
      giveBack(6_000, 'a', 0),
      take(6_000, 'b', 'ok'),
      take(6_000, 'c', 'ok'),
      take(6_000, 'd', 'k concurrency 1000'),
    ],
  },
  {
    name: 'a call that was not made says nothing of how long calls last',
    limits: { k: { concurrency: 1 } },
    deeds: [
      take(0, 'a', 'ok'),
      giveBack(20_000, 'a', null),
      take(20_000, 'b', 'ok'),
      take(20_000, 'c', 'k concurrency 1000'),
    ],
  },
  {
    name: "a dead worker's place comes back when its lease ends",
    limits: { k: { concurrency: 1 } },
    deeds: [take(0, 'a', 'ok'), take(29_999, 'b', 'k concurrency 1000'), take(30_000, 'b', 'ok')],
  },
  {
    name: 'a lease that is renewed lasts longer',
    limits: { k: { concurrency: 1 } },
    deeds: [
      take(0, 'a', 'ok'),
      renew(20_000, 'a'),
      take(49_999, 'b', 'k concurrency 1000'),
      take(50_000, 'b', 'ok'),
    ],
  },
  {
    name: 'a lease that ended and is renewed counts again',
    limits: { k: { concurrency: 1 } },
    deeds: [
      take(0, 'a', 'ok'),
      take(30_000, 'b', 'ok'),
      giveBack(30_000, 'b', null),
      renew(31_000, 'a'),
      take(31_000, 'c', 'k concurrency 1000'),
    ],
  },
  {
    name: 'a call that finds one of its limits full takes nothing from the others',
    limits: { k: { rpm: 12 }, 'k/m': { concurrency: 1 } },
    deeds: [
      take(0, 'a', 'ok'),
      take(0, 'b', 'k/m concurrency 1000'),
      take(0, 'c', 'k/m concurrency 2000'),
      giveBack(1_000, 'a', 0),
      take(1_000, 'b', 'ok'),
      take(1_000, 'c', 'k rpm 4000'),
    ],
  },
  {
    name: 'of several full limits the one that stays full the longest is named',
    limits: { k: { rpm: 6, concurrency: 1 }, 'k/m': { tpm: 6_000 } },
    deeds: [
      take(0, 'a', 'ok', 1_500),
      take(0, 'b', 'k rpm 10000', 1),
      take(9_500, 'b', 'k concurrency 1000', 1),
    ],
  },
];
