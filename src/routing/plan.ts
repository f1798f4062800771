/** How a chain that is not simply walked from first to last is put in order for one job. */
import type { FailureClass } from './failure.js';

export const STRATEGIES = ['fallback', 'weighted', 'latency', 'cost'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** One policy of a chain: its strategy, over steps and over the policies that are nested in it. */
export interface Plan {
  readonly strategy: Strategy;
  /** The metadata key whose value keeps choosing the same child (`weighted`); null to draw anew for each job. */
  readonly stickyBy: string | null;
  readonly children: readonly PlanChild[];
}

export interface PlanChild {
  /** Its share among its siblings (`weighted`); they need not add up to anything. */
  readonly weight: number;
  /** An index into the chain's steps, or a nested policy. */
  readonly node: number | Plan;
}

/** What is known of one step when a job's chain is put in order. */
export interface StepFacts {
  /** Milliseconds that a good answer of it takes of late; null if nothing is known. */
  readonly latencyMs: number | null;
  /** What the request is estimated to cost with it, in millionths of a US dollar; null if that is not known. */
  readonly costMicros: number | null;
  /** Why it can't take the request; null if it can, or if that is not known. */
  readonly incompatible: FailureClass | null;
}

/** The order in which a job walks its chain: indexes into the chain's steps, each once; and why, in a sentence. */
export interface StepOrder {
  readonly steps: readonly number[];
  readonly reason: string;
}
