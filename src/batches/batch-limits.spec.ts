import { EMPTY_TALLY } from '../jobs/batch-jobs.service.js';
import { stopReason } from './batch-limits.js';

const FREE = { maxCostMicros: null, maxErrorRate: null };

it.each<[string, string | null, Partial<typeof FREE> | object, Partial<typeof EMPTY_TALLY>]>([
  ['has no limits', null, {}, { failed: 1_000, costMicros: 1e9 }],
  ['costs less than it may', null, { maxCostMicros: 100 }, { costMicros: 99 }],
  ['costs as much as it may', 'max_cost_exceeded', { maxCostMicros: 100 }, { costMicros: 100 }],
  ['has failed too seldom to tell', null, { maxErrorRate: 0.1 }, { failed: 19 }],
  ['fails as often as it may', null, { maxErrorRate: 0.5 }, { failed: 10, completed: 10 }],
  ['fails too often', 'max_error_rate_exceeded', { maxErrorRate: 0.5 }, { failed: 11, completed: 10 }],
  ['expires too often', 'max_error_rate_exceeded', { maxErrorRate: 0 }, { expired: 1, completed: 19 }],
  ['was cancelled in part, which is no failure', null, { maxErrorRate: 0 }, { cancelled: 30, completed: 30 }],
])('a batch that %s: %p', (_what, code, limits, tally) => {
  expect(stopReason({ ...FREE, ...limits }, { ...EMPTY_TALLY, ...tally })?.code ?? null).toBe(code);
});
