import { toPublicId } from '../storage/ids.js';

/** What can be told. */
export const EVENT_TYPES = [
  'job.completed',
  'job.failed',
  'job.cancelled',
  'job.expired',
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
  'response.completed',
  'response.failed',
  'response.cancelled',
  'webhook_endpoint.disabled',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Something that happened, to be written down in the transaction in which it happened. */
export interface NewEvent {
  /** The project's uuid. */
  readonly projectId: string;
  readonly type: EventType;
  /** The job's uuid, if it happened to a job. */
  readonly jobId: string | null;
  /** The batch's uuid, if it happened to a batch. */
  readonly batchId: string | null;
  /**
   * What receivers get as `data`: public ids and states; prompts and answers are fetched, not sent. Its `version` grows with
   * each event of the same object, so that receivers can put them in order.
   */
  readonly data: Record<string, unknown> & { readonly version: number };
  /** Where the job or batch itself asked to be told; null if nowhere. */
  readonly url: string | null;
  /** Whether the project may have endpoints that want it. */
  readonly isWatched: boolean;
}

/** An event as it is kept. */
export interface StoredEvent {
  /** The row's uuid. */
  readonly id: string;
  readonly type: string;
  readonly createdAt: Date;
  /** JSON object, as it was when it happened. */
  readonly data: string;
}

/** What `include_result` adds to an event's `data`. */
export type InlineResult =
  /** The answer's body, JSON text. */
  | { readonly type: 'inline'; readonly json: string }
  /** It is too large to be sent along: where it is read. */
  | { readonly type: 'elsewhere'; readonly path: string };

/**
 * The bytes that are sent and signed. The same event gives the same bytes on every try, unless the receiver's wish for results
 * changes meanwhile: all that is in it is stored. `result` is null for a receiver that did not ask for it.
 */
export function toBody(event: StoredEvent, result: InlineResult | null): Buffer {
  const head = JSON.stringify({
    id: toPublicId('evt', event.id),
    object: 'event',
    type: event.type,
    created_at: Math.floor(event.createdAt.getTime() / 1000),
    timestamp: event.createdAt.toISOString(),
  });
  return Buffer.from(`${head.slice(0, -1)},"data":${withResult(event.data, result)}}`);
}

function withResult(data: string, result: InlineResult | null): string {
  if (result === null) return data;
  const field =
    result.type === 'inline' ? `"result":${result.json}` : `"result_url":${JSON.stringify(result.path)}`;
  return `${data.slice(0, -1)},${field}}`;
}

/** The receiver that a URL names, for one project: all but the query, which many fill with what they tell apart by it. */
export function laneOf(projectId: string, url: string): string {
  if (!URL.canParse(url)) return `${projectId} ${url}`;
  const { origin, pathname } = new URL(url);
  return `${projectId} ${origin}${pathname}`;
}
