/**
 * One circuit: whether something that has been failing is left alone for a while. The same machine serves one model with
 * one key, and a key as a whole; what differs is in the rules.
 *
 * Closed, calls go through and their outcomes are counted. Open, none goes through until `untilMs`. Then it is half
 * open: one call probes. If it succeeds the circuit closes and lets calls in step by step; if it fails it opens for longer.
 */

import { saneRetryAfterMs } from './backoff.js';
import type { CallResult } from './call-result.js';
import { type CircuitRules, type Verdict, verdictOf } from './circuit-rules.js';
import type { FailureClass } from './failure.js';

/** What processes tell each other: the last change. Of two, the one with the greater {@link stampOf} holds. */
export interface Phase {
  /** How often an operator has set it. It goes before `turn`, so that no process undoes what a person said. */
  readonly era: number;
  /** How often it has changed by itself since then. */
  readonly turn: number;
  readonly state: 'closed' | 'open';
  /** An operator holds it in this state, until `untilMs`. */
  readonly isForced: boolean;
  /** Unix milliseconds; 0 if it has never changed. */
  readonly sinceMs: number;
  /** Unix milliseconds. Open: when it may be probed. Forced: when that ends. Null: it does not end by itself. */
  readonly untilMs: number | null;
  /** How often it has opened in a row. */
  readonly openings: number;
  /** The failure that opened it; null where it was an operator, or if it is closed. */
  readonly class: FailureClass | null;
}

/** Outcomes of ten seconds in one term: outcomes from before a change say nothing about the time after it. */
export interface Tally {
  readonly term: string;
  /** Unix time in units of {@link SLOT_MS}. */
  readonly slot: number;
  readonly successes: number;
  readonly failures: number;
}

export interface Circuit {
  readonly phase: Phase;
  /** Of the last minute, in no order. */
  readonly tallies: readonly Tally[];
  /** How many calls at once one process may make while it recovers; null for any number. */
  readonly cap: number | null;
}

export const SLOT_MS = 10_000;
/** The window: this slot and the five before it. */
const SLOTS = 6;
/** Far more than a minute has, unless it opens and closes many times a second. */
const MOST_TALLIES = 64;
/** An opening this long after the last closing begins again with the shortest time. */
const CALM_MS = 300_000;
/** What a provider may ask us to stay away; a longer Retry-After is looked into after this time. */
const LONGEST_ASKED_MS = 3_600_000;
/** A cap this high no longer matters. */
const RAMP_END = 1_024;

export const NEW_CIRCUIT: Circuit = {
  phase: {
    era: 0,
    turn: 0,
    state: 'closed',
    isForced: false,
    sinceMs: 0,
    untilMs: null,
    openings: 0,
    class: null,
  },
  tallies: [],
  cap: null,
};

/** What the state means at a moment: an open circuit whose time is over is half open. */
export function stateAt({ state, untilMs }: Phase, nowMs: number): 'closed' | 'open' | 'half_open' {
  if (state === 'closed') return 'closed';
  return untilMs !== null && nowMs >= untilMs ? 'half_open' : 'open';
}

/** True while an operator holds it in its state. */
export function isForcedAt({ isForced, untilMs }: Phase, nowMs: number): boolean {
  return isForced && (untilMs === null || nowMs < untilMs);
}

/** The time between two changes, to be told of outcomes: a call belongs to the term in which it began. */
export function termOf({ era, turn }: Phase): string {
  return `${era}.${turn}`;
}

/** Phases in an order that all processes agree on, as texts that are compared as such: later, then open, then longer. */
export function stampOf(phase: Phase): string {
  const until = phase.untilMs === null ? '9'.repeat(15) : String(phase.untilMs).padStart(15, '0');
  const rank = phase.state === 'open' ? 1 : 0;
  return `${String(phase.era).padStart(9, '0')}.${String(phase.turn).padStart(9, '0')}.${rank}.${until}`;
}

export interface CircuitOutcome {
  readonly result: CallResult;
  /** Of the phase in which the call began. */
  readonly term: string;
  /** True if the call was the one that half-open lets through. */
  readonly isProbe: boolean;
  readonly nowMs: number;
}

/** The circuit after a call. */
export function observe(circuit: Circuit, outcome: CircuitOutcome, rules: CircuitRules): Circuit {
  const { result, nowMs } = outcome;
  const verdict = verdictOf(result, rules);
  if (verdict === 'neutral') return circuit;
  const counted = { ...circuit, tallies: add(circuit.tallies, tallyOf(outcome, verdict), nowMs) };
  if (isForcedAt(circuit.phase, nowMs)) return counted;
  const failure = verdict === 'failure' && !result.ok ? result : null;
  const askedMs = failure?.class === 'rate_limited' ? saneRetryAfterMs(failure.retryAfterMs) : 0;
  // It counts whenever the call began: what the provider asks for is about the time to come.
  if (failure && askedMs > 0) return openedAsAsked(counted, outcome, failure.class, askedMs);
  if (outcome.term !== termOf(circuit.phase)) return counted;
  if (circuit.phase.state === 'open') {
    if (!outcome.isProbe || stateAt(circuit.phase, nowMs) !== 'half_open') return counted;
    return failure ? opened(counted, failure, nowMs, rules) : closed(counted, nowMs, rules);
  }
  return failure ? afterFailure(counted, failure, nowMs, rules) : { ...counted, cap: grown(counted.cap) };
}

type CircuitFailure = Extract<CallResult, { ok: false }>;

function afterFailure(
  circuit: Circuit,
  failure: CircuitFailure,
  nowMs: number,
  rules: CircuitRules,
): Circuit {
  if (circuit.cap !== null && circuit.cap <= 1) return opened(circuit, failure, nowMs, rules);
  const { successes, failures } = countsOf(circuit, nowMs, termOf(circuit.phase));
  const leastShare = failure.httpStatus === 403 ? rules.leastShareOfForbidden : rules.leastShare;
  const isTooMany = failures >= rules.leastFailures && failures >= leastShare * (failures + successes);
  if (isTooMany) return opened(circuit, failure, nowMs, rules);
  return { ...circuit, cap: circuit.cap === null ? null : Math.floor(circuit.cap / 2) };
}

/** Open for longer than the last time, if that is not long ago. */
function opened(circuit: Circuit, failure: CircuitFailure, nowMs: number, rules: CircuitRules): Circuit {
  const { phase } = circuit;
  const isCalm = phase.state === 'closed' && nowMs - phase.sinceMs > CALM_MS;
  const openings = isCalm ? 1 : phase.openings + 1;
  const ownMs = Math.min(rules.firstOpenMs * 2 ** (openings - 1), rules.longestOpenMs);
  const askedMs = Math.min(saneRetryAfterMs(failure.retryAfterMs), LONGEST_ASKED_MS);
  return changed(circuit, nowMs, {
    state: 'open',
    untilMs: Math.ceil(nowMs + Math.max(ownMs, askedMs)),
    openings,
    class: failure.class,
  });
}

/** Open exactly as long as the provider asked; where it is open already, the longer time holds. */
function openedAsAsked(
  circuit: Circuit,
  { nowMs, isProbe, term }: CircuitOutcome,
  why: FailureClass,
  askedMs: number,
): Circuit {
  const { phase } = circuit;
  const untilMs = Math.ceil(nowMs + Math.min(askedMs, LONGEST_ASKED_MS));
  const isOver = isProbe && term === termOf(phase);
  if (phase.state === 'open' && !isOver) {
    if (phase.untilMs === null || phase.untilMs >= untilMs) return circuit;
    return { ...circuit, phase: { ...phase, untilMs, class: why } };
  }
  return changed(circuit, nowMs, { state: 'open', untilMs, openings: phase.openings, class: why });
}

function closed(circuit: Circuit, nowMs: number, rules: CircuitRules): Circuit {
  const { openings } = circuit.phase;
  const next = changed(circuit, nowMs, { state: 'closed', untilMs: null, openings, class: null });
  return { ...next, cap: rules.ramps ? 1 : null };
}

function changed(
  circuit: Circuit,
  sinceMs: number,
  now: Pick<Phase, 'state' | 'untilMs' | 'openings' | 'class'>,
): Circuit {
  const { era, turn } = circuit.phase;
  return { ...circuit, cap: null, phase: { era, turn: turn + 1, isForced: false, sinceMs, ...now } };
}

function grown(cap: number | null): number | null {
  return cap === null || cap * 2 >= RAMP_END ? null : cap * 2;
}

/**
 * What an operator says: `open` and `closed` hold until `untilMs` (null: until it is taken back), `auto` takes it back
 * and begins anew.
 */
export function setByHand(
  circuit: Circuit,
  state: 'open' | 'closed' | 'auto',
  nowMs: number,
  untilMs: number | null,
): Circuit {
  const isForced = state !== 'auto';
  return {
    ...circuit,
    cap: null,
    phase: {
      era: circuit.phase.era + 1,
      turn: 0,
      state: state === 'open' ? 'open' : 'closed',
      isForced,
      sinceMs: nowMs,
      untilMs: isForced ? untilMs : null,
      openings: 0,
      class: null,
    },
  };
}

/** The circuit after another process told of a change of it, which may be long ago: a process that starts is told of all. */
export function adopt(circuit: Circuit, phase: Phase, rules: CircuitRules, nowMs: number): Circuit {
  if (stampOf(phase) <= stampOf(circuit.phase)) return circuit;
  const isFresh = nowMs - phase.sinceMs <= CALM_MS;
  const isRecovering = rules.ramps && phase.state === 'closed' && phase.openings > 0 && isFresh;
  return { ...circuit, phase, cap: isRecovering ? 1 : null };
}

/** What was counted in the last minute, of one term or of all. */
export function countsOf(
  { tallies }: Circuit,
  nowMs: number,
  term: string | null = null,
): { successes: number; failures: number } {
  const counted = tallies.filter((each) => isRecent(each, nowMs) && (term === null || each.term === term));
  return {
    successes: counted.reduce((sum, each) => sum + each.successes, 0),
    failures: counted.reduce((sum, each) => sum + each.failures, 0),
  };
}

/** One outcome as a tally. */
export function tallyOf(
  { term, nowMs }: Pick<CircuitOutcome, 'term' | 'nowMs'>,
  verdict: Exclude<Verdict, 'neutral'>,
): Tally {
  const isSuccess = verdict === 'success';
  return {
    term,
    slot: Math.floor(nowMs / SLOT_MS),
    successes: isSuccess ? 1 : 0,
    failures: isSuccess ? 0 : 1,
  };
}

/** Tallies with one more in them; those that are too old, or too many, are gone. */
export function add(tallies: readonly Tally[], one: Tally, nowMs: number): Tally[] {
  const isSame = (each: Tally) => each.term === one.term && each.slot === one.slot;
  const same = tallies.find(isSame);
  const sum = [
    ...tallies.filter((each) => !isSame(each) && isRecent(each, nowMs)),
    {
      ...one,
      successes: one.successes + (same?.successes ?? 0),
      failures: one.failures + (same?.failures ?? 0),
    },
  ];
  return sum.slice(-MOST_TALLIES);
}

function isRecent({ slot }: Tally, nowMs: number): boolean {
  return slot > Math.floor(nowMs / SLOT_MS) - SLOTS;
}
