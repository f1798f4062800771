import type { Tally } from '../jobs/batch-jobs.service.js';

/** Fewer lines than this say nothing of how many will fail. */
const LEAST_ENDED = 20;

/** What a batch may cost, and how much of it may fail; null for no limit. */
export interface BatchLimits {
  readonly maxCostMicros: number | null;
  /** From 0 to 1. */
  readonly maxErrorRate: number | null;
}

/** Why a batch is stopped before its end: the error that it and its cancelled lines tell. */
export interface StopReason {
  readonly code: 'max_cost_exceeded' | 'max_error_rate_exceeded';
  readonly message: string;
}

/**
 * Whether a batch must be stopped by what has become of its lines so far; null if it may go on. The cost that is known counts;
 * a line that expired failed.
 */
export function stopReason(limits: BatchLimits, tally: Tally): StopReason | null {
  const { maxCostMicros, maxErrorRate } = limits;
  if (maxCostMicros !== null && tally.costMicros >= maxCostMicros) {
    const message = `The batch was stopped: its cost, ${usd(tally.costMicros)}, has reached max_cost_usd, ${usd(maxCostMicros)}.`;
    return { code: 'max_cost_exceeded', message };
  }
  const failed = tally.failed + tally.expired;
  const ended = tally.completed + failed;
  if (maxErrorRate !== null && ended >= LEAST_ENDED && failed / ended > maxErrorRate) {
    const message = `The batch was stopped: ${failed} of ${ended} lines failed, which is more than max_error_rate, ${maxErrorRate}.`;
    return { code: 'max_error_rate_exceeded', message };
  }
  return null;
}

function usd(micros: number): string {
  return `$${(micros / 1e6).toFixed(6)}`;
}
