import { type IdPrefix, newId } from '../storage/ids.js';
import type { EventType, NewEvent } from './event.js';

const KINDS: Readonly<Record<string, { readonly prefix: IdPrefix; readonly object: string }>> = {
  job: { prefix: 'job', object: 'job' },
  batch: { prefix: 'batch', object: 'batch' },
  response: { prefix: 'job', object: 'response' },
  webhook_endpoint: { prefix: 'whe', object: 'webhook_endpoint' },
};

/** The `data` of a made-up event of a type: it names nothing that exists, and says that it is a test. */
export function sampleOf(type: EventType): NewEvent['data'] {
  const [kind = '', status = ''] = type.split('.');
  const { prefix, object } = KINDS[kind] ?? { prefix: 'evt', object: kind };
  return { id: newId(prefix), object, status, test: true, version: 1 };
}
