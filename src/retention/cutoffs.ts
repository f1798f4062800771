import type { Retention } from '../config/config.js';
import type { Cutoffs } from './remover.js';

const DAY_MS = 86_400_000;

/** What is too old at this moment of a project's things, by its name. */
export function cutoffsOf(retention: Retention, projectName: string, now: Date): Cutoffs {
  const terms = retention.projects.get(projectName) ?? retention;
  const before = (days: number | null) => (days === null ? null : new Date(now.getTime() - days * DAY_MS));
  return {
    jobs: before(terms.jobsDays),
    batches: before(terms.batchesDays),
    deliveries: before(terms.deliveriesDays),
    files: before(terms.filesDays),
  };
}
