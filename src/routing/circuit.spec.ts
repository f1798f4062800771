import fc from 'fast-check';
import type { CallResult } from './call-result.js';
import {
  adopt,
  type Circuit,
  countsOf,
  isForcedAt,
  NEW_CIRCUIT,
  observe,
  type Phase,
  setByHand,
  stampOf,
  stateAt,
  termOf,
} from './circuit.js';
import { type CircuitRules, KEY_RULES, MODEL_RULES, verdictOf } from './circuit-rules.js';
import { FAILURE_CLASSES, type FailureClass } from './failure.js';

const START = 1_800_000_000_000;

function result(
  of: 'ok' | FailureClass,
  retryAfterMs: number | null = null,
  httpStatus: number | null = null,
): CallResult {
  const called = { httpStatus, upstreamRequestId: null, usage: null, costMicros: null, keyId: null };
  if (of === 'ok') return { ok: true, ...called, httpStatus: 200, body: '{}' };
  return { ok: false, ...called, class: of, message: of, sent: true, retryAfterMs, body: null };
}

/**
 * A script, one word after the other, a second apart: `ok` or a class, `rate_limited:500` with a Retry-After in
 * milliseconds, `unauthorized!403` with a status, `+7000` for that many milliseconds of silence, `?ok` for the probe, `old:ok` for a call that began
 * before the last change, `open`, `closed`, `auto` (or `open/60000`) for the operator.
 */
function play(script: string, rules: CircuitRules = MODEL_RULES): { circuit: Circuit; nowMs: number } {
  let circuit = NEW_CIRCUIT;
  let nowMs = START;
  for (const word of script.split(' ').filter((each) => each !== '')) {
    if (word.startsWith('+')) {
      nowMs += Number(word);
      continue;
    }
    nowMs += 1_000;
    const byHand = /^(open|closed|auto)(?:\/(\d+))?$/.exec(word);
    if (byHand) {
      const untilMs = byHand[2] === undefined ? null : nowMs + Number(byHand[2]);
      circuit = setByHand(circuit, byHand[1] as 'open' | 'closed' | 'auto', nowMs, untilMs);
      continue;
    }
    const [, mark = '', of = '', asked, status] =
      /^(\?|old:)?([a-z_]+)(?::(\d+))?(?:!(\d+))?$/.exec(word) ?? [];
    circuit = observe(
      circuit,
      {
        result: result(of as 'ok' | FailureClass, numberOf(asked), numberOf(status)),
        term: mark === 'old:' ? 'before' : termOf(circuit.phase),
        isProbe: mark === '?',
        nowMs,
      },
      rules,
    );
  }
  return { circuit, nowMs };
}

const numberOf = (text: string | undefined) => (text === undefined ? null : Number(text));

/** `closed`, `closed 4` while at most 4 calls are let in, `open 5000` for 5 s more, `half_open`; `!` for by hand. */
function told({ circuit, nowMs }: { circuit: Circuit; nowMs: number }): string {
  const { phase, cap } = circuit;
  const hand = isForcedAt(phase, nowMs) ? '!' : '';
  const state = stateAt(phase, nowMs);
  if (state === 'open') return `${hand}open ${phase.untilMs === null ? 'for good' : phase.untilMs - nowMs}`;
  return `${hand}${state}${cap === null ? '' : ` ${cap}`}`;
}

const FIVE = 'timeout timeout timeout timeout timeout';
const OPEN_AGAIN = `${FIVE} +5000 ?timeout`;

describe('The circuit of a model', () => {
  it.each([
    ['', 'closed'],
    ['timeout timeout timeout timeout', 'closed'],
    [FIVE, 'open 5000'],
    ['connect_failed rate_limited overloaded connection_lost malformed', 'open 5000'],
    ['ok ok ok ok ok timeout timeout timeout timeout timeout', 'open 5000'],
    ['ok ok ok ok ok ok timeout timeout timeout timeout timeout', 'closed'],
    ['ok ok ok ok ok ok timeout timeout timeout timeout timeout timeout', 'open 5000'],
    // The window is a minute, in slots of ten seconds.
    ['timeout timeout timeout timeout +61000 timeout', 'closed'],
    ['timeout timeout timeout timeout +45000 timeout', 'open 5000'],
    ['ok ok ok ok ok ok ok ok ok +61000 timeout timeout timeout timeout timeout', 'open 5000'],
  ])('opens at five failures of a minute that are half of all: %s', (script, expected) => {
    expect(told(play(script))).toBe(expected);
  });

  it.each([
    // An answer of any kind shows a living model.
    [FIVE.replaceAll('timeout', 'content_filtered'), 'closed'],
    [FIVE.replaceAll('timeout', 'invalid_request'), 'closed'],
    [`${FIVE.replaceAll('timeout', 'refused')} timeout timeout timeout timeout timeout`, 'open 5000'],
    [`empty ${FIVE.replaceAll('timeout', 'refused')} timeout timeout timeout timeout timeout`, 'closed'],
    // These say nothing, neither good nor bad.
    [`${FIVE.replaceAll('timeout', 'unauthorized')} unauthorized`, 'closed'],
    ['model_not_found model_not_found timeout timeout timeout timeout timeout', 'open 5000'],
    ['timeout timeout timeout timeout quota_exhausted', 'closed'],
  ])('counts what is the model’s own: %s', (script, expected) => {
    expect(told(play(script))).toBe(expected);
  });

  it.each([
    ['rate_limited', 'closed'],
    ['rate_limited:0', 'closed'],
    ['rate_limited:700', 'open 700'],
    ['rate_limited:120000', 'open 120000'],
    ['rate_limited:3600000', 'open 3600000'],
    // A provider's day is looked into after an hour.
    ['rate_limited:86400000', 'open 3600000'],
    ['ok ok ok ok ok ok ok rate_limited:7000', 'open 7000'],
    ['overloaded:7000', 'closed'],
    // The longer time holds, whoever brought it.
    ['rate_limited:7000 rate_limited:2000', 'open 6000'],
    ['rate_limited:7000 rate_limited:9000', 'open 9000'],
    [`${FIVE} rate_limited:60000`, 'open 60000'],
    [`${FIVE} old:rate_limited:60000`, 'open 60000'],
    // Being asked again is no reason for more than was asked.
    ['rate_limited:2000 +2000 ?rate_limited:2000', 'open 2000'],
    ['rate_limited:2000 +2000 ?rate_limited:2000 +2000 ?timeout', 'open 5000'],
    ['timeout timeout timeout timeout overloaded:9000', 'open 9000'],
  ])('opens as long as a 429 asks: %s', (script, expected) => {
    expect(told(play(script))).toBe(expected);
  });

  it.each([
    [`${FIVE} +4999`, 'open 1'],
    [`${FIVE} +5000`, 'half_open'],
    [`${FIVE} +4000 ?timeout`, 'open 10000'],
    [OPEN_AGAIN, 'open 10000'],
    [`${OPEN_AGAIN} +10000 ?timeout`, 'open 20000'],
    [`${OPEN_AGAIN} +10000 ?timeout +20000 ?timeout`, 'open 40000'],
    [
      `${FIVE} ${[5, 10, 20, 40, 80, 160, 300, 300].map((s) => `+${s}000 ?timeout`).join(' ')}`,
      'open 300000',
    ],
    // Neither good nor bad news: still half open, for another probe.
    [`${FIVE} +5000 ?model_not_found`, 'half_open'],
    // Calls from before the change, and any but the probe, change nothing.
    [`${FIVE} +5000 old:ok`, 'half_open'],
    [`${FIVE} +5000 ok`, 'half_open'],
    [`${FIVE} ok ok ok`, 'open 2000'],
    [`${FIVE} timeout timeout`, 'open 3000'],
    // A probe that comes back when somebody has opened it for longer.
    [`${FIVE} ?ok`, 'open 4000'],
  ])('is probed when its time is over, and opens for twice as long if that fails: %s', (script, expected) => {
    expect(told(play(script))).toBe(expected);
  });

  const HEALED = `${FIVE} +5000 ?ok`;
  it.each([
    [HEALED, 'closed 1'],
    [`${HEALED} ok`, 'closed 2'],
    [`${HEALED} ok ok`, 'closed 4'],
    [`${HEALED} ok ok ok ok ok ok ok ok ok`, 'closed 512'],
    [`${HEALED} ok ok ok ok ok ok ok ok ok ok`, 'closed'],
    [`${HEALED} content_filtered`, 'closed 2'],
    [`${HEALED} unauthorized`, 'closed 1'],
    [`${HEALED} old:ok`, 'closed 1'],
    [`${HEALED} old:timeout old:timeout old:timeout old:timeout old:timeout old:timeout`, 'closed 1'],
    [`${HEALED} ok ok timeout`, 'closed 2'],
    [`${HEALED} ok timeout`, 'closed 1'],
    [`${HEALED} timeout`, 'open 10000'],
    [`${HEALED} ok timeout timeout`, 'open 10000'],
    // What was counted before it closed is over.
    [`${HEALED} ok ok ok ok ok ok ok ok ok ok timeout timeout timeout timeout`, 'closed'],
    // After a good while the next opening is a first one again.
    [`${HEALED} +299000 timeout`, 'open 10000'],
    [`${HEALED} +301000 timeout`, 'open 5000'],
  ])('lets calls in step by step after it closed: %s', (script, expected) => {
    expect(told(play(script))).toBe(expected);
  });

  it.each([
    ['open', '!open for good'],
    ['open ok ok ok +9999999 ok', '!open for good'],
    ['open/60000', '!open 60000'],
    ['open/60000 rate_limited:3600000', '!open 59000'],
    ['open/60000 +60000', 'half_open'],
    ['open/60000 +60000 ?ok', 'closed 1'],
    ['open/60000 +60000 ?timeout', 'open 5000'],
    ['open auto', 'closed'],
    ['closed', '!closed'],
    [`closed ${FIVE} rate_limited:7000`, '!closed'],
    [`closed/20000 ${FIVE} +20000`, 'closed'],
    [`closed/20000 ${FIVE} +20000 timeout`, 'open 5000'],
    [`${FIVE} closed`, '!closed'],
    [`${FIVE} auto`, 'closed'],
    [`${FIVE} auto timeout timeout timeout timeout`, 'closed'],
    [`${OPEN_AGAIN} auto ${FIVE}`, 'open 5000'],
    [`closed auto ${FIVE}`, 'open 5000'],
  ])('obeys the operator: %s', (script, expected) => {
    expect(told(play(script))).toBe(expected);
  });

  it('tells what opened it, and what it has counted', () => {
    const { circuit, nowMs } = play('ok timeout timeout timeout overloaded server_error');
    expect(circuit.phase).toMatchObject({ class: 'server_error', sinceMs: START + 6_000, openings: 1 });
    expect(countsOf(circuit, nowMs)).toEqual({ successes: 1, failures: 5 });
    expect(countsOf(circuit, nowMs + 70_000)).toEqual({ successes: 0, failures: 0 });
  });
});

describe('The circuit of a key', () => {
  it.each([
    ['unauthorized', 'open 60000'],
    ['quota_exhausted', 'open 60000'],
    ['ok ok ok ok ok ok ok unauthorized', 'open 60000'],
    ['unauthorized +60000 ?unauthorized', 'open 120000'],
    [
      `unauthorized ${[60, 120, 240, 480, 960, 1920, 3600, 3600].map((s) => `+${s}000 ?unauthorized`).join(' ')}`,
      'open 3600000',
    ],
    ['unauthorized +60000 ?ok', 'closed'],
    ['unauthorized +60000 ?ok unauthorized', 'open 120000'],
    // Trouble is the model's, whose own circuit has it.
    ['rate_limited:5000 timeout timeout timeout timeout timeout timeout', 'closed'],
    ['unauthorized +60000 ?timeout', 'half_open'],
    ['unauthorized +60000 ?invalid_request', 'closed'],
    ['unauthorized auto', 'closed'],
    ['open', '!open for good'],
    // A 403 may be about the model that a caller chose: it is not for him to take the key from everybody.
    ['unauthorized!403', 'open 60000'],
    ['ok unauthorized!403', 'open 60000'],
    ['ok ok unauthorized!403', 'closed'],
    ['ok ok unauthorized!403 unauthorized!403', 'open 60000'],
    ['ok ok ok ok unauthorized!401', 'open 60000'],
  ])('rests while the provider does not take it: %s', (script, expected) => {
    expect(told(play(script, KEY_RULES))).toBe(expected);
  });
});

describe('A class of failure', () => {
  it.each(FAILURE_CLASSES.map((each) => [each]))(
    '%s says something in at most one kind of circuit',
    (each) => {
      const verdicts = [MODEL_RULES, KEY_RULES].map((rules) => verdictOf(result(each), rules));
      expect(verdicts.filter((verdict) => verdict === 'failure').length).toBeLessThanOrEqual(1);
      const isNeverSent = /^(incompatible|circuit_open|locally_limited|budget_exceeded|not_approved)$/.test(
        each,
      );
      const speaks = verdicts.some((verdict) => verdict !== 'neutral');
      expect(speaks).toBe(!isNeverSent && each !== 'model_not_found');
    },
  );
});

const phase: fc.Arbitrary<Phase> = fc.record({
  era: fc.nat(2),
  turn: fc.nat(3),
  state: fc.constantFrom('closed' as const, 'open' as const),
  isForced: fc.boolean(),
  sinceMs: fc.integer({ min: START, max: START + 1_000_000 }),
  untilMs: fc.option(fc.integer({ min: START, max: START + 4_000_000 })),
  openings: fc.nat(8),
  class: fc.constant(null),
});

describe('Phases that processes tell each other', () => {
  it('come to the same wherever they meet, in whatever order and however often', () => {
    fc.assert(
      fc.property(fc.array(phase, { maxLength: 8 }), fc.infiniteStream(fc.nat()), (phases, order) => {
        const all = (each: readonly Phase[]) =>
          each.reduce((circuit, one) => adopt(circuit, one, MODEL_RULES, START), NEW_CIRCUIT);
        const shuffled = phases
          .map((each) => ({ each, at: Number(order.next().value) }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each);
        expect(stampOf(all([...shuffled, ...phases]).phase)).toBe(stampOf(all(phases).phase));
      }),
    );
  });

  it('never undo an operator’s word', () => {
    fc.assert(
      fc.property(phase, phase, (mine, theirs) => {
        const byHand = setByHand({ ...NEW_CIRCUIT, phase: mine }, 'open', START, null);
        const later = { ...theirs, era: Math.min(theirs.era, mine.era) };
        expect(adopt(byHand, later, MODEL_RULES, START)).toBe(byHand);
      }),
    );
  });

  it.each([
    [`${FIVE} +5000 ?ok`, 'closed 1'],
    [`${FIVE} +5000 ?ok +299000`, 'closed 1'],
    // Recovered long ago: a process that starts need not be careful with it.
    [`${FIVE} +5000 ?ok +300001`, 'closed'],
    [FIVE, 'open 5000'],
    ['closed', '!closed'],
    ['open auto', 'closed'],
  ])('bring a process that was idle to the same state: %s', (script, expected) => {
    const { circuit, nowMs } = play(script);
    expect(told({ circuit: adopt(NEW_CIRCUIT, circuit.phase, MODEL_RULES, nowMs), nowMs })).toBe(expected);
  });
});

describe('Any life of a circuit', () => {
  const event = fc.record({
    of: fc.constantFrom('ok' as const, ...FAILURE_CLASSES),
    retryAfterMs: fc.oneof(
      fc.constant(null),
      fc.nat(10_000_000),
      fc.constantFrom(Infinity, Number.NaN, -1, 0.5),
    ),
    isProbe: fc.boolean(),
    isOld: fc.boolean(),
    passedMs: fc.oneof(fc.nat(2_000), fc.nat(400_000)),
  });

  it('keeps its bounds: open no longer than an hour, few tallies, no step back', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.boolean(), (events, isKey) => {
        const rules = isKey ? KEY_RULES : MODEL_RULES;
        let [circuit, nowMs] = [NEW_CIRCUIT, START];
        for (const { of, retryAfterMs, isProbe, isOld, passedMs } of events) {
          nowMs += passedMs;
          const term = isOld ? 'before' : termOf(circuit.phase);
          const next = observe(circuit, { result: result(of, retryAfterMs), term, isProbe, nowMs }, rules);
          expect(stampOf(next.phase) >= stampOf(circuit.phase)).toBe(true);
          expect(next.tallies.length).toBeLessThanOrEqual(64);
          const untilMs = next.phase.untilMs ?? nowMs;
          expect(Number.isSafeInteger(untilMs)).toBe(true);
          expect(untilMs - nowMs).toBeLessThanOrEqual(3_600_000);
          expect(next.cap === null || next.cap >= 1).toBe(true);
          circuit = next;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('ends closed when every probe succeeds from some moment on', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        let [circuit, nowMs] = [NEW_CIRCUIT, START];
        for (const { of, retryAfterMs, isProbe, passedMs } of events) {
          nowMs += passedMs;
          const outcome = { result: result(of, retryAfterMs), term: termOf(circuit.phase), isProbe, nowMs };
          circuit = observe(circuit, outcome, MODEL_RULES);
        }
        nowMs += 3_600_000;
        for (let calls = 0; calls < 12; calls += 1) {
          nowMs += 10;
          const isProbe = stateAt(circuit.phase, nowMs) === 'half_open';
          const outcome = { result: result('ok'), term: termOf(circuit.phase), isProbe, nowMs };
          circuit = observe(circuit, outcome, MODEL_RULES);
        }
        expect(told({ circuit, nowMs })).toBe('closed');
      }),
      { numRuns: 1_000 },
    );
  });
});
