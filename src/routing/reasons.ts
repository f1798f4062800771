/** The words in which a decision's reason is told. */

import { FAILURES } from './failure.js';
import { lastFailures } from './history.js';
import { type Situation, stepAt } from './situation.js';

/** How many models are named one by one. */
const MOST_NAMED = 3;

/** Why the steps from `from` up to `to` are not called: their last failures, the first few by name; empty if there are none. */
export function passedOver({ chain, attempts }: Situation, from: number, to: number): string {
  const failures = lastFailures(attempts).filter(({ step }) => step >= from && step < to);
  const named = failures.slice(0, MOST_NAMED).map((failure) => {
    const why = FAILURES[failure.class].heals ? `${failure.class}, asked for more time` : failure.class;
    return `${stepAt(chain, failure.step).model} (${why})`;
  });
  if (failures.length > named.length) named.push(`${failures.length - named.length} more`);
  return named.length > 0 ? `; passed over: ${named.join(', ')}` : '';
}

/** A length of time for people: `840 ms`, `4.2 s`, `12.5 min`, `48 h`. */
export function inWords(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const [unitMs, unit] = ms < 60_000 ? [1_000, 's'] : ms < 3_600_000 ? [60_000, 'min'] : [3_600_000, 'h'];
  return `${Math.round((ms / unitMs) * 10) / 10} ${unit}`;
}
