import { ApiError } from '../http/api-error.js';
import { textFlaw } from '../http/text-flaw.js';
import { toUuid } from '../storage/ids.js';
import type { JobStatus } from '../storage/schema.js';
import { LATEST_UNIX_SECONDS } from './job.dto.js';
import type { JobFilters } from './jobs.repository.js';

/** Every status that a job can have. */
export const JOB_STATUSES: JobStatus[] = [
  'queued',
  'in_progress',
  'completed',
  'failed',
  'cancelled',
  'expired',
];
/** More than any job can have. */
const MOST_ATTEMPTS = 1_000_000;
const PAGING = ['limit', 'after', 'order'];
const METADATA = /^metadata\[(.{1,64})\]$/;

/** Each filter: the name that users write, and how its text becomes a {@link JobFilters} field. */
const FILTERS: Readonly<Record<string, (text: string, param: string) => Partial<JobFilters>>> = {
  status: (text, param) => ({ status: oneOf(JOB_STATUSES, text, param) }),
  model: (text) => ({ model: text }),
  served_by: (text) => ({ servedBy: text }),
  policy: (text) => ({ policy: text.startsWith('policy/') ? text.slice('policy/'.length) : text }),
  batch_id: (text, param) => ({
    batchId: toUuid('batch', text) ?? wrong(param, 'the id of a batch: batch_…'),
  }),
  custom_id: (text) => ({ customId: text }),
  error_code: (text) => ({ errorCode: text }),
  fell_back: (text, param) => ({ fellBack: oneOf(['true', 'false'], text, param) === 'true' }),
  attempts_min: (text, param) => ({ attemptsMin: wholeNumber(text, param, MOST_ATTEMPTS) }),
  created_after: (text, param) => ({ createdAfter: wholeNumber(text, param, LATEST_UNIX_SECONDS) }),
  created_before: (text, param) => ({ createdBefore: wholeNumber(text, param, LATEST_UNIX_SECONDS) }),
};

/** Reads the filters of a query; throws an ApiError for a wrong value, or a parameter that is not known. */
export function parseJobFilters(query: Readonly<Record<string, unknown>>): JobFilters {
  let filters: JobFilters = {};
  for (const [param, value] of Object.entries(query)) {
    if (PAGING.includes(param)) continue;
    const key = METADATA.exec(param)?.[1];
    const filter = Object.hasOwn(FILTERS, param) ? FILTERS[param] : undefined;
    if (key === undefined && !filter) {
      throw new ApiError(
        'unknown_field',
        `'${param.slice(0, 64)}' is no filter. The filters are: ${Object.keys(FILTERS).join(', ')}, metadata[key].`,
        { param },
      );
    }
    if (typeof value !== 'string') wrong(param, 'given once');
    const flaw = textFlaw(param) ?? textFlaw(value);
    if (flaw !== null) wrong(param, `without ${flaw}`);
    if (key === undefined) filters = { ...filters, ...filter?.(value, param) };
    else filters = { ...filters, metadata: { ...filters.metadata, [key]: value } };
  }
  return filters;
}

function oneOf<T extends string>(choices: readonly T[], text: string, param: string): T {
  return choices.find((choice) => choice === text) ?? wrong(param, `one of: ${choices.join(', ')}`);
}

function wholeNumber(text: string, param: string, most: number): number {
  const isRight = /^\d{1,12}$/.test(text) && Number(text) <= most;
  return isRight ? Number(text) : wrong(param, `a whole number from 0 to ${most}`);
}

function wrong(param: string, right: string): never {
  throw new ApiError('invalid_value', `${param} must be ${right}.`, { param });
}
