import type { CallLimits } from './config.js';
import { withoutAbsent, type Section } from './section.js';

/** The `limits` of a provider or of a model; undefined if it has none. */
export function readLimits(owner: Section): CallLimits | undefined {
  if (!owner.has('limits')) return undefined;
  const section = owner.section('limits');
  section.allowOnly(['rpm', 'tpm', 'concurrency']);
  return withoutAbsent({
    rpm: section.number('rpm', 1, 'whole'),
    tpm: section.number('tpm', 1, 'whole'),
    concurrency: section.number('concurrency', 1, 'whole'),
  });
}
