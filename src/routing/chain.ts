import type { Expectation } from './expectation.js';
import type { FailureClass, RuleDecision } from './failure.js';
import type { Plan } from './plan.js';

/** One model in a chain, with everything about it resolved: nothing has to be looked up to run it. */
export interface Step {
  /** `provider/model` as the caller names it. */
  readonly model: string;
  /** How many times this model is tried again after a failure that can heal, before the next model. */
  readonly retries: number;
  /** The hard wall of one call, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * How long a job may wait for this model (a Retry-After, a limit of ours, an open circuit) before it goes on, in milliseconds.
   */
  readonly patienceMs: number;
  /** Fields laid over the top level of the caller's request for this model. */
  readonly overrides: Readonly<Record<string, unknown>>;
  /** What the step's policy says of classes, over the defaults. */
  readonly on: Readonly<Partial<Record<FailureClass, RuleDecision>>>;
  /** What the step's policy asks of an answer; null for nothing. */
  readonly expect: Expectation | null;
}

/** A fallback chain, resolved: policies that were nested are laid out flat. Immutable, and the same for all jobs that share it. */
export interface Chain {
  readonly steps: readonly Step[];
  /** How often the whole chain is tried before the job fails; at least 1. */
  readonly rounds: number;
  /** How many calls one job may make in all; skipped models do not count. */
  readonly maxAttempts: number;
  /** How the steps are put in order for a job; null to walk them as they stand. */
  readonly plan: Plan | null;
}

export const CHAIN_DEFAULTS = {
  retries: 0,
  timeoutMs: 300_000,
  patienceMs: 0,
  rounds: 3,
  maxAttempts: 10,
} as const;
