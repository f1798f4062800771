import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '../http/api-error.js';
import { BatchJobsService, type EndOf } from '../jobs/batch-jobs.service.js';
import { toUuid } from '../storage/ids.js';
import type { JobStatus } from '../storage/schema.js';
import { isEnded, toBatch } from './batch-reply.js';
import { BatchesService, type WholeBatch } from './batches.service.js';
import type { BatchRow } from './batches.repository.js';
import { jobIdOf, renderLine } from './render-line.js';

const LOOK_EVERY_MS = 500;
/** Proxies close what is silent for a minute; a comment keeps it open. */
const HEARTBEAT_MS = 15_000;
/** How soon a client comes back whose connection broke. */
const RETRY_MS = 1_000;

/** Which results are wanted. */
export interface ResultsQuery {
  /** The id of a line, `batch_req_…`; null from the begin. */
  readonly after: string | null;
  readonly order: 'ended' | 'input';
  readonly status: JobStatus | null;
}

/** What a client can watch of a batch: its results, and how it goes on. */
@Injectable()
export class BatchStreams implements OnModuleDestroy {
  private readonly stopping = new AbortController();

  constructor(
    private readonly batches: BatchesService,
    private readonly jobs: BatchJobsService,
  ) {}

  onModuleDestroy(): void {
    this.stopping.abort();
  }

  /**
   * The lines that have ended so far, as JSONL. Going on behind the last one that was seen misses none, in the order of the
   * ends; in the order of the input a line may end later that stands before it. Throws an ApiError for a wrong `after`.
   */
  async results(projectId: string, batchId: string, query: ResultsQuery): Promise<AsyncIterable<string>> {
    const { row } = await this.batches.get(projectId, batchId);
    const after = query.after === null ? null : await this.placeOf(batchId, query.after);
    return this.pages(row, query, after);
  }

  /**
   * The state of a batch as server-sent events: at once, at each change, and at its end, after which the stream ends. With
   * the id of the last event that was seen, that state is not told again.
   */
  async *events(projectId: string, batchId: string, lastEventId: string | null): AsyncGenerator<string> {
    yield `retry: ${RETRY_MS}\n\n`;
    let seen = lastEventId;
    let quietMs = 0;
    for (;;) {
      const batch = await this.batches.get(projectId, batchId);
      const { status } = batch.row;
      const id = stateOf(batch);
      if (id !== seen) {
        const name = isEnded(status) ? `batch.${status}` : 'batch.progress';
        const data = JSON.stringify(toBatch(batch.row, batch.progress, batch.rejects));
        yield `id: ${id}\nevent: ${name}\ndata: ${data}\n\n`;
        seen = id;
        quietMs = 0;
      }
      if (isEnded(status)) return;
      await sleep(LOOK_EVERY_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      if (this.stopping.signal.aborted) return;
      quietMs += LOOK_EVERY_MS;
      if (quietMs % HEARTBEAT_MS === 0) yield ': still here\n\n';
    }
  }

  private async *pages(row: BatchRow, query: ResultsQuery, first: EndOf | null): AsyncGenerator<string> {
    const { order, status } = query;
    let after = first;
    for (;;) {
      const before = isEnded(row.status) ? null : await this.jobs.horizon();
      const lines = await this.jobs.ended(row.id, { after, before, order, status });
      const last = lines.at(-1);
      if (!last) return;
      yield lines.map(renderLine).join('');
      after = last;
    }
  }

  private async placeOf(batchId: string, lineId: string): Promise<EndOf> {
    const jobId = toUuid('job', jobIdOf(lineId));
    const place = jobId === null ? undefined : await this.jobs.endOf(batchId, jobId);
    if (place) return place;
    throw new ApiError(
      'invalid_value',
      "after must be the id of a result of this batch, the last one that was seen: 'batch_req_…'.",
      { param: 'after' },
    );
  }
}

const STATUS_ORDER = [
  'validating',
  'in_progress',
  'cancelling',
  'finalizing',
  'failed',
  'completed',
  'expired',
  'cancelled',
];

/** Names a state; its parts only grow while a batch goes its way, but for what runs and what is paused. */
function stateOf({ row, progress }: WholeBatch): string {
  const ended = progress ? progress.completed + progress.failed + progress.cancelled + progress.expired : 0;
  const paused = row.paused_at === null ? 0 : row.paused_at.getTime();
  const read = row.job_count + row.reject_count;
  return [STATUS_ORDER.indexOf(row.status), read, ended, progress?.running ?? 0, paused].join('.');
}
