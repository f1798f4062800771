/** The words in which the tables of `nextAction` are written: situations, and what is expected of them. */
import type { Chain, Step } from '../../src/routing/chain.js';
import type { FailureClass, Outcome } from '../../src/routing/failure.js';
import type { PastAttempt } from '../../src/routing/history.js';
import type { Situation } from '../../src/routing/situation.js';

/** Times in these tables are milliseconds since the job's start. */
const START = 1_800_000_000_000;
export const SECOND = 1_000;
export const HOUR = 3_600 * SECOND;
export const DAY = 24 * HOUR;

export const step = (model: string, more: Partial<Step> = {}): Step => ({
  model,
  retries: 0,
  timeoutMs: 120 * SECOND,
  patienceMs: 0,
  overrides: {},
  on: {},
  expect: null,
  ...more,
});
export const chain = (steps: readonly Step[], more: Partial<Chain> = {}): Chain => ({
  steps,
  rounds: 3,
  maxAttempts: 10,
  plan: null,
  ...more,
});
export const A = step('a/x');
export const B = step('b/y');
export const C = step('c/z');
export const THREE = chain([A, B, C]);

interface More {
  readonly step?: number;
  readonly round?: number;
  readonly at?: number;
  readonly retryAfterMs?: number;
  readonly key?: string;
}
const attempt = (outcome: Outcome, name: FailureClass | null, more: More): PastAttempt => ({
  step: more.step ?? 0,
  round: more.round ?? 0,
  outcome,
  class: name,
  retryAfterMs: more.retryAfterMs ?? null,
  keyId: more.key ?? null,
  endedAtMs: START + (more.at ?? 0),
});
export const failed = (name: FailureClass, more: More = {}): PastAttempt => attempt('failed', name, more);
export const skipped = (name: FailureClass, more: More = {}): PastAttempt => attempt('skipped', name, more);
export const ended = (outcome: Outcome, more: More = {}): PastAttempt => attempt(outcome, null, more);

/** What is asked: by default right after the last attempt, a day before the deadline. */
interface Asked {
  readonly now?: number;
  readonly deadline?: number;
  readonly seed?: number;
  readonly keys?: readonly number[];
  readonly isRoom?: boolean;
}
export const situation = (asked: Chain, attempts: readonly PastAttempt[], more: Asked = {}): Situation => ({
  chain: asked,
  attempts,
  nowMs: more.now === undefined ? (attempts.at(-1)?.endedAtMs ?? START) : START + more.now,
  deadlineMs: START + (more.deadline ?? DAY),
  seed: more.seed ?? 42,
  keyCounts: more.keys ?? [],
  isRoom: more.isRoom ?? false,
});

/** Matches a moment from `from` to `to`, in milliseconds since the job's start. */
export const between = (from: number, to: number): unknown => ({
  asymmetricMatch: (value: unknown) =>
    typeof value === 'number' && value >= START + from && value <= START + to && Number.isInteger(value),
  toString: () => 'between',
  toAsymmetricMatcher: () => `from ${START + from} to ${START + to}`,
});
export const reason = (pattern: RegExp): unknown => expect.stringMatching(pattern);

export const call = (at: number, round: number, more: object = {}): object => ({
  type: 'call',
  step: at,
  round,
  ...more,
});
export const wait = (at: number, round: number, untilMs: unknown, more: object = {}): object => ({
  type: 'wait',
  step: at,
  round,
  untilMs,
  ...more,
});
export const fail = (index: number, why: unknown): object => ({
  type: 'fail',
  attempt: index,
  decision: 'stop',
  reason: why,
});

export type Case = readonly [name: string, asked: Situation, expected: object];
