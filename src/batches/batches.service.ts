/** Batches: many requests at once, as OpenAI's clients make them; each line is a job with its own chain. Nothing runs of a batch that is not right as a whole. */
import { Inject, Injectable } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { ApiError } from '../http/api-error.js';
import { digestOf, IdempotencyService } from '../http/idempotency.service.js';
import { afterUuid, type Paging } from '../http/paging.js';
import { BatchJobsService, type Progress } from '../jobs/batch-jobs.service.js';
import { type Load, WaitingLoad } from '../jobs/waiting-load.js';
import { newUuid, toPublicId, toUuid } from '../storage/ids.js';
import type { CreateBatchDto, RetryFailedDto } from './batch.dto.js';
import { BatchDrawer, sizeOf } from './batch-drawer.js';
import { isEnded } from './batch-reply.js';
import { BatchesRepository, type BatchRow, type NewBatch, type RejectRow } from './batches.repository.js';

/** A batch with all that is known of it. */
export interface WholeBatch {
  readonly row: BatchRow;
  readonly progress: Progress | undefined;
  readonly rejects: readonly RejectRow[];
}

/** What came of making a batch. */
export interface MadeBatch {
  readonly row: BatchRow;
  /** True if an earlier request with the same idempotency key made it. */
  readonly isReplay: boolean;
}

/** Of lines in a file: they are counted as they are read. */
const NOT_COUNTED: Load = { jobs: 0, bytes: 0 };

/** What the doors of batches do. */
@Injectable()
export class BatchesService {
  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly batches: BatchesRepository,
    private readonly drawer: BatchDrawer,
    private readonly jobs: BatchJobsService,
    private readonly idempotency: IdempotencyService,
    private readonly load: WaitingLoad,
  ) {}

  /** Makes a batch: when this resolves it is durable, and its input is read next. Throws an ApiError when something about it is wrong. */
  async create(projectId: string, dto: CreateBatchDto, idempotencyKey: string | null): Promise<MadeBatch> {
    const load = sizeOf(dto);
    return this.make(projectId, { route: 'POST /v1/batches', asked: dto, load }, idempotencyKey, () =>
      this.drawer.draw(projectId, dto),
    );
  }

  /** Makes a batch of the lines of an ended one that came to nothing. Throws an ApiError if it runs, or there are none. */
  async retryFailed(
    projectId: string,
    batchId: string,
    dto: RetryFailedDto,
    idempotencyKey: string | null,
  ): Promise<MadeBatch> {
    const asked = { batchId, statuses: dto.statuses };
    const route = 'POST /v1/batches/{id}/retry_failed';
    return this.make(projectId, { route, asked, load: NOT_COUNTED }, idempotencyKey, async () => {
      const { row } = await this.get(projectId, batchId);
      if (!isEnded(row.status)) {
        throw new ApiError(
          'batch_not_ended',
          `The batch has not ended yet: it is ${row.status}. Wait for its end, or cancel it.`,
        );
      }
      return this.drawer.redraw(row, dto.statuses ?? ['failed', 'expired']);
    });
  }

  /** Throws `not_found` for an unknown batch, and for another project's. */
  async get(projectId: string, batchId: string): Promise<WholeBatch> {
    const row = await this.batches.find(projectId, batchId);
    if (!row) throw notFound(toPublicId('batch', batchId));
    const [whole] = await this.whole([row]);
    return whole ?? { row, progress: undefined, rejects: [] };
  }

  /** One page, and whether there are more. */
  async list(projectId: string, paging: Paging): Promise<{ batches: WholeBatch[]; hasMore: boolean }> {
    const after = afterUuid(paging, 'batch');
    const page = { limit: paging.limit + 1, after, order: paging.order };
    const rows = await this.batches.list(projectId, page);
    return {
      batches: await this.whole(rows.slice(0, paging.limit)),
      hasMore: rows.length > paging.limit,
    };
  }

  /** Begins to cancel a batch; what has ended is kept. One that is cancelled may be cancelled again; another end is a conflict. */
  async cancel(projectId: string, batchId: string): Promise<WholeBatch> {
    const isDone = await this.batches.transaction(async (trx) => {
      if (!(await this.batches.cancel(trx, projectId, batchId))) return false;
      await this.jobs.close(trx, batchId);
      return true;
    });
    if (isDone) this.jobs.advance(batchId);
    const batch = await this.get(projectId, batchId);
    if (isDone || ['cancelling', 'cancelled'].includes(batch.row.status)) return batch;
    throw this.tooLate(batch.row, 'cancelled');
  }

  /** Lets no further line begin; those that run go on. */
  async pause(projectId: string, batchId: string): Promise<WholeBatch> {
    const row = await this.batches.transaction(async (trx) => {
      const paused = await this.batches.setPaused(trx, projectId, batchId, true);
      if (paused) await this.jobs.close(trx, batchId);
      return paused;
    });
    return this.steered(projectId, batchId, row, 'paused');
  }

  /** Lets the lines of a paused batch run again. */
  async resume(projectId: string, batchId: string): Promise<WholeBatch> {
    const row = await this.batches.transaction(async (trx) => {
      const resumed = await this.batches.setPaused(trx, projectId, batchId, false);
      // Before all of its input is read nothing may run.
      if (resumed?.status === 'in_progress') await this.jobs.reopen(trx, batchId);
      return resumed;
    });
    return this.steered(projectId, batchId, row, 'resumed');
  }

  private async steered(
    projectId: string,
    batchId: string,
    row: BatchRow | undefined,
    deed: string,
  ): Promise<WholeBatch> {
    const batch = await this.get(projectId, batchId);
    if (!row) throw this.tooLate(batch.row, deed);
    this.jobs.advance(batchId);
    return batch;
  }

  private async make(
    projectId: string,
    { route, asked, load }: { route: string; asked: unknown; load: Load },
    idempotencyKey: string | null,
    draw: () => Promise<Omit<NewBatch, 'id'>>,
  ): Promise<MadeBatch> {
    const key = idempotencyKey === null ? null : { route, key: idempotencyKey, digest: digestOf(asked) };
    const known = key && (await this.idempotency.known(projectId, key));
    if (known !== null) return this.replay(projectId, known);
    await this.assertRoom(projectId);
    const id = newUuid();
    await this.load.takeForBatch(projectId, id, load);
    try {
      const batch = { ...(await draw()), id };
      const made =
        key === null
          ? { made: await this.batches.transaction((trx) => this.drawer.insert(trx, batch)) }
          : await this.idempotency.once(projectId, key, id, (trx) => this.drawer.insert(trx, batch));
      if ('knownId' in made) return await this.replay(projectId, made.knownId);
      this.load.keep(id);
      this.jobs.advance(id);
      return { row: made.made, isReplay: false };
    } finally {
      this.load.giveBack(id);
    }
  }

  private async replay(projectId: string, batchId: string): Promise<MadeBatch> {
    return { row: (await this.get(projectId, batchId)).row, isReplay: true };
  }

  private async assertRoom(projectId: string): Promise<void> {
    const { batchMaxActive } = this.config;
    if ((await this.batches.countActive(projectId, batchMaxActive)) < batchMaxActive) return;
    throw new ApiError(
      'too_many_batches',
      `The project has ${batchMaxActive} unfinished batches, which is the limit here. Wait until one has ended.`,
    );
  }

  private async whole(rows: readonly BatchRow[]): Promise<WholeBatch[]> {
    const ids = rows.map((row) => row.id);
    const withRejects = rows.filter((row) => row.reject_count > 0).map((row) => row.id);
    const [progress, rejects] = await Promise.all([
      this.jobs.progress(ids),
      this.batches.rejects(withRejects),
    ]);
    return rows.map((row) => ({
      row,
      progress: progress.get(row.id),
      rejects: rejects.filter((reject) => reject.batchId === row.id),
    }));
  }

  private tooLate(row: BatchRow, deed: string): ApiError {
    return new ApiError(
      'batch_not_running',
      `A batch that is ${row.status}${row.stop_code === null ? '' : ' and stopped'} can't be ${deed}.`,
    );
  }
}

/** The uuid in a path's batch id. Throws `not_found`: what is no id names no batch. */
export function batchUuid(id: string): string {
  const uuid = toUuid('batch', id);
  if (uuid === null) throw notFound(id);
  return uuid;
}

function notFound(id: string): ApiError {
  return new ApiError('not_found', `There is no batch '${id.slice(0, 64)}'.`, { param: 'id' });
}
