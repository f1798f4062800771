/** How many tokens a call counts for against limits of tokens: before it, and after it. */
import type { CallResult } from '../routing/call-result.js';
import type { NamedLimits } from './limiter.js';

/**
 * What is taken before the call: the estimate, but no more than a minute's worth. The estimate is as large as the caller's
 * `max_tokens`; without this bound one call could keep everybody out for days, by a number that costs its caller nothing.
 */
export function tokensToTake(estimated: number, limits: readonly NamedLimits[]): number {
  const minutes = limits.map(({ limits: { tpm } }) => tpm ?? Infinity);
  return Math.max(0, Math.min(estimated, ...minutes));
}

/** What was really used; what is not known is what was taken. Null: the call never reached the provider. */
export function tokensUsed(taken: number, result: CallResult | null): number | null {
  if (result === null) return taken;
  if (!result.ok && !result.sent) return null;
  if (result.usage) return result.usage.totalTokens;
  const isTurnedAway = !result.ok && result.httpStatus !== null && result.httpStatus < 500;
  return isTurnedAway ? 0 : taken;
}
