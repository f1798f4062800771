import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Chain, Step } from './chain.js';
import { FAILURE_CLASSES, type FailureClass } from './failure.js';
import { failureTables } from './failure-table.js';
import { nextAction, type PastAttempt } from './next-action.js';

const PAGE = readFileSync(join(__dirname, '../../docs/routing.md'), 'utf8');

/** What stands on the page between the two marks of that name. */
function shown(name: string): string {
  const [, between] = PAGE.split(new RegExp(`<!-- ${name}:(?:begin|end)[^>]*-->`));
  return between?.trim() ?? '';
}

describe('docs/routing.md', () => {
  it('shows the tables of failures as the code has them', () => {
    expect(shown('failures')).toBe(failureTables());
  });

  it('shows every class once', () => {
    const firstCells = [...shown('failures').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    expect(firstCells).toHaveLength(FAILURE_CLASSES.length);
    expect(new Set(firstCells)).toEqual(new Set(FAILURE_CLASSES));
  });

  it('tells the example as it happens', () => {
    expect(shown('example')).toBe(['```text', ...playExample(), '```'].join('\n'));
  });
});

const step = (model: string, retries: number): Step => ({
  model,
  retries,
  timeoutMs: 120_000,
  patienceMs: 0,
  overrides: {},
  on: {},
  expect: null,
});
const EXAMPLE: Chain = {
  steps: [
    step('deepseek/deepseek-reasoner', 0),
    step('nebius/DeepSeek-R1', 1),
    step('deepinfra/DeepSeek-R1', 0),
  ],
  rounds: 3,
  maxAttempts: 10,
  plan: null,
};
/** What comes of each call in turn: its class (null for an answer), how long it took, its Retry-After. */
const SCRIPT: readonly (readonly [FailureClass | null, number, number | null])[] = [
  ['unauthorized', 200, null],
  ['overloaded', 300, null],
  ['overloaded', 400, null],
  ['rate_limited', 100, 20_000],
  [null, 21_000, null],
];

/** Two lines for each attempt: when it ended and how, and what was decided. */
function playExample(): string[] {
  const attempts: PastAttempt[] = [];
  const lines: string[] = [];
  let nowMs = 0;
  for (;;) {
    const action = nextAction({
      chain: EXAMPLE,
      attempts,
      nowMs,
      deadlineMs: 86_400_000,
      seed: 7,
      keyCounts: [],
      isRoom: false,
    });
    if (attempts.length > 0 && nowMs === attempts.at(-1)?.endedAtMs) {
      lines.push(`         ${action.decision}: ${action.reason}`);
    }
    if (action.type === 'wait') {
      nowMs = action.untilMs;
    } else if (action.type === 'call') {
      const [name, tookMs, retryAfterMs] = SCRIPT[attempts.length] ?? [null, 0, null];
      nowMs += tookMs;
      const outcome = name === null ? 'succeeded' : 'failed';
      attempts.push({
        step: action.step,
        round: action.round,
        outcome,
        class: name,
        retryAfterMs,
        keyId: null,
        endedAtMs: nowMs,
      });
      lines.push(
        `${(nowMs / 1_000).toFixed(1).padStart(5)} s  ${EXAMPLE.steps[action.step]?.model}  ${name ?? outcome}`,
      );
    } else {
      return lines;
    }
  }
}
