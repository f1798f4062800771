import type { Step } from './chain.js';
import { type DryRun, dryRun, type DryRunScene, MOST_DRY_ATTEMPTS } from './dry-run.js';
import { parseOutcome } from './outcome-script.js';

const step = (model: string, more: Partial<Step> = {}): Step => ({
  model,
  retries: 0,
  timeoutMs: 60_000,
  patienceMs: 0,
  overrides: {},
  on: {},
  expect: null,
  ...more,
});

function play(steps: Step[], script: string[], more: Partial<DryRunScene> = {}): DryRun {
  const outcomes = script.map((text) => {
    const outcome = parseOutcome(text);
    if (typeof outcome === 'string') throw new Error(outcome);
    return outcome;
  });
  return dryRun({
    chain: { steps, rounds: 2, maxAttempts: 10, plan: null },
    script: outcomes,
    lifetimeMs: 86_400_000,
    seed: 1,
    keyIds: [],
    whyNot: () => null,
    ...more,
  });
}

function told({ attempts, status, by }: DryRun): string {
  const each = attempts.map(
    ({ round, step: index, class: name, outcome, keyId }) =>
      `${round}.${index} ${name ?? outcome}${keyId === null ? '' : ` ${keyId}`}`,
  );
  return [...each, `${status} by ${by}`].join(', ');
}

const [a, b] = [step('p/a'), step('p/b')];

test.each<[string, DryRun, string]>([
  ['a good answer', play([a], ['ok']), '0.0 succeeded, completed by 0'],
  ['no script at all', play([a], []), '0.0 succeeded, completed by 0'],
  [
    'a model that fails',
    play([a, b], ['unauthorized', 'ok']),
    '0.0 unauthorized, 0.1 succeeded, completed by 1',
  ],
  [
    'an outcome that comes again',
    play([a, b], ['unauthorized']),
    '0.0 unauthorized, 0.1 unauthorized, failed by 1',
  ],
  [
    'a retry',
    play([step('p/a', { retries: 1 })], ['timeout', 'ok']),
    '0.0 timeout, 0.0 succeeded, completed by 1',
  ],
  ['another round', play([a], ['overloaded', 'ok']), '0.0 overloaded, 1.0 succeeded, completed by 1'],
  [
    'a rule that stops',
    play([step('p/a', { on: { empty: 'stop' } }), b], ['empty']),
    '0.0 empty, failed by 0',
  ],
  [
    'a model that cannot take the request, which uses up no outcome',
    play([a, b], ['ok'], { whyNot: (index) => (index === 0 ? 'too small' : null) }),
    '0.0 incompatible, 0.1 succeeded, completed by 1',
  ],
  [
    'what the attempts so far rule out',
    play([a, b], ['context_length_exceeded', 'ok'], {
      whyNot: (_index, past) => (past.length > 0 ? 'no larger' : null),
    }),
    '0.0 context_length_exceeded, 0.1 incompatible, failed by 0',
  ],
  [
    'a key that is refused',
    play([a, b], ['unauthorized', 'unauthorized', 'ok'], { keyIds: [['k1', 'k2'], ['k3']] }),
    '0.0 unauthorized k1, 0.0 unauthorized k2, 0.1 succeeded k3, completed by 2',
  ],
  [
    'a gate that is shut',
    play([a, b], ['circuit_open:5', 'ok']),
    '0.0 circuit_open, 0.1 succeeded, completed by 1',
  ],
  ['a deadline that leaves no time', play([a], ['ok'], { lifetimeMs: 10 }), 'expired by null'],
])('of %s', (_what, played, expected) => {
  expect(told(played)).toBe(expected);
});

test('outcomes of gates are skipped, and use no key', () => {
  const { attempts } = play([a, b], ['locally_limited:1', 'connect_failed', 'ok'], {
    keyIds: [['k'], ['k']],
  });
  expect(attempts.map(({ outcome, keyId }) => [outcome, keyId])).toEqual([
    ['skipped', null],
    ['failed', 'k'],
    ['succeeded', 'k'],
  ]);
});

test('time goes on with waits and with calls that time out, and with nothing else', () => {
  const { attempts, endsAtMs } = play([step('p/a', { retries: 1 }), b], ['timeout', 'rate_limited:90', 'ok']);
  const [first, second, third] = attempts;
  expect(first).toMatchObject({ startsAtMs: 0, waitedMs: 0, endedAtMs: 60_000 });
  expect(second?.startsAtMs).toBe(60_000 + (second?.waitedMs ?? 0));
  expect(second?.endedAtMs).toBe(second?.startsAtMs);
  expect(third).toMatchObject({ step: 1, waitedMs: 0, startsAtMs: second?.endedAtMs });
  expect(endsAtMs).toBe(third?.endedAtMs);
});

test('each attempt says what follows and why', () => {
  const { attempts, reason } = play([a, b], ['unauthorized', 'ok']);
  expect(attempts.map((attempt) => [attempt.decision, attempt.reason])).toEqual([
    ['next', 'unauthorized: on to p/b'],
    ['accept', reason],
  ]);
});

test('a walk without an end is cut off', () => {
  const played = play([a], ['circuit_open:1']);
  expect(played).toMatchObject({ status: 'cut_off', by: null });
  expect(played.attempts).toHaveLength(MOST_DRY_ATTEMPTS);
});
