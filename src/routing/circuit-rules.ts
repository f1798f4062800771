/** What each kind of circuit takes for a failure, and how long it opens: the numbers behind the machine of `circuit`. */

import type { CallResult } from './call-result.js';
import type { FailureClass } from './failure.js';

/** What an outcome says of the thing that the circuit guards. */
export type Verdict = 'success' | 'failure' | 'neutral';

/** What makes the circuit of one kind of thing open, and for how long. */
export interface CircuitRules {
  readonly failures: ReadonlySet<FailureClass>;
  /** Classes that say nothing here. Every other one shows that the thing lives. */
  readonly neutral: ReadonlySet<FailureClass>;
  /** It opens at this many failures in a minute, ... */
  readonly leastFailures: number;
  /** ... if they are at least this share of the outcomes. */
  readonly leastShare: number;
  /** The same for a 403, which may be about the one model or request that was asked for. */
  readonly leastShareOfForbidden: number;
  readonly firstOpenMs: number;
  readonly longestOpenMs: number;
  /** Whether calls are let in step by step after it closed. */
  readonly ramps: boolean;
}

/** Never sent, or about the account and not about the model. */
const SAYS_NOTHING = [
  'incompatible',
  'circuit_open',
  'locally_limited',
  'budget_exceeded',
  'not_approved',
] as const;
const ACCOUNT = ['unauthorized', 'quota_exhausted'] as const;
const TROUBLE = [
  'connect_failed',
  'rate_limited',
  'overloaded',
  'timeout',
  'connection_lost',
  'server_error',
  'malformed',
] as const;

/** For one model with one key. */
export const MODEL_RULES: CircuitRules = {
  failures: new Set(TROUBLE),
  neutral: new Set([...SAYS_NOTHING, ...ACCOUNT, 'model_not_found']),
  leastFailures: 5,
  leastShare: 0.5,
  leastShareOfForbidden: 0.5,
  firstOpenMs: 5_000,
  longestOpenMs: 300_000,
  ramps: true,
};

/** For a key as a whole, with all its models: it rests when the provider does not take it, or its account is empty. */
export const KEY_RULES: CircuitRules = {
  failures: new Set(ACCOUNT),
  neutral: new Set([...SAYS_NOTHING, ...TROUBLE, 'model_not_found']),
  leastFailures: 1,
  leastShare: 0,
  leastShareOfForbidden: 0.5,
  firstOpenMs: 60_000,
  longestOpenMs: 3_600_000,
  ramps: false,
};

/** What a call's result says of the thing that is guarded by these rules. */
export function verdictOf(result: CallResult, rules: CircuitRules): Verdict {
  if (result.ok) return 'success';
  if (rules.failures.has(result.class)) return 'failure';
  return rules.neutral.has(result.class) ? 'neutral' : 'success';
}
