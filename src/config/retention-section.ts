import type { Retention, RetentionTerms } from './config.js';
import type { Section } from './section.js';

const KEYS = ['jobs_days', 'batches_days', 'deliveries_days', 'files_days'] as const;
type Key = (typeof KEYS)[number];

/** The word for "nothing of it is removed for its age". */
const FOREVER = 'forever';
const DEFAULT_DAYS = 30;
/** A hundred years: what is older than that is no date that a database could be asked for. */
const MOST_DAYS = 36_500;

/** Days as they are written; null is for ever. What is left out is absent. */
type WrittenTerms = Partial<Record<Key, number | null>>;

/** How long ended things are kept, for all projects and for those that are named. */
export function readRetention(section: Section): Retention {
  section.allowOnly([...KEYS, 'projects']);
  const written = readTerms(section);
  const projects = new Map<string, RetentionTerms>();
  const byName = section.section('projects');
  for (const name of byName.names()) {
    const own = byName.section(name);
    own.allowOnly(KEYS);
    projects.set(name, toTerms({ ...written, ...readTerms(own) }));
  }
  return { ...toTerms(written), projects };
}

function readTerms(section: Section): WrittenTerms {
  const terms: WrittenTerms = {};
  for (const key of KEYS) {
    if (!section.has(key)) continue;
    const days = daysOf(section.raw(key));
    if (days === undefined) {
      section.problem(
        key,
        `must be a number of days above 0 and at most ${MOST_DAYS}, such as 30 or 0.5, or ${FOREVER}`,
      );
    } else terms[key] = days;
  }
  return terms;
}

/** Undefined if it is neither a number of days nor the word for none. */
function daysOf(value: unknown): number | null | undefined {
  const text = typeof value === 'string' ? value.trim() : null;
  if (text === FOREVER) return null;
  const days = text !== null && /^\d+(\.\d+)?$/.test(text) ? Number(text) : value;
  return typeof days === 'number' && days > 0 && days <= MOST_DAYS ? days : undefined;
}

/** What is not written follows the jobs, and files go by the time that they were given. */
function toTerms(written: WrittenTerms): RetentionTerms {
  const jobsDays = written.jobs_days === undefined ? DEFAULT_DAYS : written.jobs_days;
  return {
    jobsDays,
    batchesDays: written.batches_days === undefined ? jobsDays : written.batches_days,
    deliveriesDays: written.deliveries_days === undefined ? jobsDays : written.deliveries_days,
    filesDays: written.files_days ?? null,
  };
}
