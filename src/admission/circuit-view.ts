import { type Circuit, countsOf, isForcedAt, stateAt } from '../routing/circuit.js';
import type { FailureClass } from '../routing/failure.js';
import type { CircuitId } from './circuit-id.js';

/** A circuit as people and other parts are shown it. */
export interface CircuitView {
  readonly id: CircuitId;
  readonly state: 'closed' | 'open' | 'half_open';
  readonly isForced: boolean;
  /** Unix milliseconds; null if it was never anything else. */
  readonly sinceMs: number | null;
  /** Unix milliseconds at which it may be probed, or an operator's word ends; null for no such time. */
  readonly untilMs: number | null;
  /** What opened it; null if it is not open, or an operator opened it. */
  readonly class: FailureClass | null;
  readonly lastFailure: LastFailure | null;
  /** Of the last minute. */
  readonly successes: number;
  readonly failures: number;
  /** How many calls at once this process makes while it recovers; null for any number. */
  readonly cap: number | null;
}

export interface LastFailure {
  readonly class: FailureClass;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** A change that is worth telling people. */
export interface CircuitChange {
  readonly before: CircuitView;
  readonly after: CircuitView;
}

/** A circuit as it stands at that time, in Unix milliseconds. */
export function viewOf(
  id: CircuitId,
  circuit: Circuit,
  lastFailure: LastFailure | null,
  nowMs: number,
): CircuitView {
  const { phase, cap } = circuit;
  const state = stateAt(phase, nowMs);
  const isForced = isForcedAt(phase, nowMs);
  return {
    id,
    state,
    isForced,
    sinceMs: phase.sinceMs === 0 ? null : phase.sinceMs,
    untilMs: state === 'closed' && !isForced ? null : phase.untilMs,
    class: phase.class,
    lastFailure,
    ...countsOf(circuit, nowMs),
    cap,
  };
}
