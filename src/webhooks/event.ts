import { toPublicId } from '../storage/ids.js';

/** What can be told. */
export type EventType =
  | 'job.completed'
  | 'job.failed'
  | 'job.cancelled'
  | 'job.expired'
  | 'batch.completed'
  | 'batch.failed'
  | 'batch.expired'
  | 'batch.cancelled'
  | 'response.completed'
  | 'response.failed'
  | 'response.cancelled'
  | 'webhook_endpoint.disabled';

/** Something that happened, to be written down in the transaction in which it happened. */
export interface NewEvent {
  /** The project's uuid. */
  readonly projectId: string;
  readonly type: EventType;
  /** The job's uuid, if it happened to a job. */
  readonly jobId: string | null;
  /** What receivers get as `data`: public ids and states; prompts and answers are fetched, not sent. */
  readonly data: Record<string, unknown>;
  /** Where the job or batch itself asked to be told; null if nowhere. */
  readonly url: string | null;
}

/** An event as it is kept. */
export interface StoredEvent {
  /** The row's uuid. */
  readonly id: string;
  readonly type: string;
  readonly createdAt: Date;
  /** JSON, as it was when it happened. */
  readonly data: string;
}

/** The bytes that are sent and signed. The same event gives the same bytes on every try: all that is in it is stored. */
export function toBody(event: StoredEvent): Buffer {
  const head = JSON.stringify({
    id: toPublicId('evt', event.id),
    object: 'event',
    type: event.type,
    created_at: Math.floor(event.createdAt.getTime() / 1000),
    timestamp: event.createdAt.toISOString(),
  });
  return Buffer.from(`${head.slice(0, -1)},"data":${event.data}}`);
}

/** The receiver that a URL names: scheme, host and port. */
export function laneOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}
