import type { CircuitView } from './circuit-view.js';
import { capRefusal, circuitRefusal, limitRefusal, soonest } from './refusal.js';

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0);
const NOBODY = { waiting: 0, meanMs: null };

function view(over: Partial<CircuitView> = {}): CircuitView {
  return {
    id: { provider: 'openai', keyId: 'openai-ab12', model: 'gpt-4o' },
    state: 'open',
    isForced: false,
    sinceMs: NOW,
    untilMs: NOW + 5_000,
    class: 'timeout',
    lastFailure: null,
    successes: 0,
    failures: 5,
    cap: null,
    ...over,
  };
}

const KEY = { provider: 'openai', keyId: 'openai-ab12', model: null };
const ACCOUNT = { ...KEY, keyId: null };
const WHO = 'openai/gpt-4o with the key openai-ab12';
const FORCED = { isForced: true, class: null };

test.each([
  [
    view(),
    `${WHO} is left alone until 2026-11-23T12:00:05Z: timeout: No whole answer within the step's timeout.`,
    5_000,
  ],
  [
    view({ id: KEY, class: 'unauthorized', untilMs: NOW + 60_000 }),
    'The key openai-ab12 of openai is left alone until 2026-11-23T12:01:00Z: unauthorized: ' +
      'The provider does not accept the key; a person has to change it.',
    60_000,
  ],
  [
    view({ id: ACCOUNT, class: 'quota_exhausted' }),
    'The account at openai is left alone until 2026-11-23T12:00:05Z: quota_exhausted: ' +
      'The account at the provider is out of credit; a person has to top it up.',
    5_000,
  ],
  [view(FORCED), `${WHO} is left alone until 2026-11-23T12:00:05Z: an operator has taken it out.`, 5_000],
  [
    view({ ...FORCED, untilMs: null }),
    `${WHO} is left alone until an operator opens it again: an operator has taken it out.`,
    60_000,
  ],
  [view({ untilMs: NOW + 1 }), expect.stringContaining('is left alone'), 250],
  [view({ state: 'half_open' }), expect.stringContaining('is being tried with one call'), 1_000],
])('a circuit lets nobody through: %#', (shown, message, retryAfterMs) => {
  expect(circuitRefusal(shown, NOW, NOBODY)).toEqual({
    class: 'circuit_open',
    message,
    retryAfterMs,
    isRung: true,
  });
});

test('those who wait for a circuit come one behind the other, but not much later than it may be probed', () => {
  const waitOf = (waiting: number) => circuitRefusal(view(), NOW, { waiting, meanMs: null }).retryAfterMs;
  expect([0, 10, 100_000].map(waitOf)).toEqual([5_000, 5_100, 10_000]);
});

test.each([
  // [cap, waiting, mean, least, most]: by turns, within a quarter, from 250 ms to 30 s.
  [1, 0, 1_000, 750, 1_250],
  [4, 0, 1_000, 250, 313],
  [4, 39, 1_000, 7_500, 12_500],
  [1, 0, null, 750, 1_250],
  [10, 0, 20, 250, 250],
  [1, 1_000, 60_000, 30_000, 30_000],
])('a cap of %d with %d before and answers of %p ms is asked about after %d to %d ms', (...values) => {
  const [cap, waiting, meanMs, least, most] = values;
  const refusal = capRefusal('openai/gpt-4o', null, cap, { waiting, meanMs });
  expect(refusal).toMatchObject({ class: 'locally_limited', isRung: true });
  expect(refusal.retryAfterMs).toBeGreaterThanOrEqual(least);
  expect(refusal.retryAfterMs).toBeLessThanOrEqual(most);
});

test.each([
  ['rpm', 60, 'openai/openai-ab12 is at its limit of 60 requests a minute (`limits` in the config).', false],
  ['tpm', 9, 'openai/openai-ab12 is at its limit of 9 tokens a minute (`limits` in the config).', false],
  ['concurrency', 2, 'openai/openai-ab12 is at its limit of 2 calls at once (`limits` in the config).', true],
] as const)(
  'a limit of %s is told, and who waits for it is called only for a place',
  (kind, most, message, isRung) => {
    const refused = { ok: false, limit: 'openai/openai-ab12', kind, retryAfterMs: 700 } as const;
    expect(limitRefusal(refused, most)).toEqual({
      class: 'locally_limited',
      message,
      retryAfterMs: 700,
      isRung,
    });
  },
);

test('of several keys the one that is ready first is told', () => {
  const refusals = [90_000, 5_000, 60_000].map((ms) =>
    circuitRefusal(view({ untilMs: NOW + ms }), NOW, NOBODY),
  );
  expect(soonest(refusals)).toMatchObject({
    retryAfterMs: 5_000,
    message: expect.stringMatching(
      /^None of 3 keys is ready\. The first to be: openai\/gpt-4o with the key /,
    ),
  });
  expect(soonest(refusals.slice(0, 1))).toBe(refusals[0]);
});
