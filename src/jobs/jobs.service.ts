/** Jobs: takes a job durably, runs it down its chain, shows it and its attempts. Nothing accepted is ever lost. */
import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import type { Paging } from '../http/paging.js';
import { PoliciesService } from '../policies/policies.service.js';
import { PRIORITIES } from '../queue/queues.js';
import { QueueService } from '../queue/queue.service.js';
import { newUuid, toPublicId, toUuid } from '../storage/ids.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { WebhooksService } from '../webhooks/webhooks.service.js';
import type { SubmitJobDto } from './job.dto.js';
import { JobEndings } from './job-endings.js';
import { JobSweepsRepository } from './job-sweeps.repository.js';
import { JobWaiter } from './job-waiter.js';
import {
  type AttemptRow,
  type IdempotencyKey,
  type JobFilters,
  type JobRow,
  type KnownKey,
  JobsRepository,
  type NewJob,
  type WholeJobRow,
} from './jobs.repository.js';

/** What came of a submission. */
export interface Submitted {
  /** The job as it is now. */
  readonly row: WholeJobRow;
  /** True if an earlier request with the same idempotency key made the job. */
  readonly isReplay: boolean;
}

/** A job with all that is known of it. */
export interface WholeJob {
  readonly row: WholeJobRow;
  readonly attempts: readonly AttemptRow[];
}

const DEFAULT_EXPIRES_IN_SECONDS = 86_400;
const MOST_MODELS = 20;
const LOCK_NOT_AVAILABLE = '55P03';

/** What the doors of jobs do. */
@Injectable()
export class JobsService {
  constructor(
    private readonly jobs: JobsRepository,
    private readonly sweeps: JobSweepsRepository,
    private readonly policies: PoliciesService,
    private readonly webhooks: WebhooksService,
    private readonly queue: QueueService,
    private readonly endings: JobEndings,
    private readonly waiter: JobWaiter,
    private readonly metrics: MetricsService,
  ) {}

  /** Accepts a job: when this resolves it is durable. Throws an ApiError when something about it is wrong. */
  async submit(projectId: string, dto: SubmitJobDto, idempotencyKey: string | null): Promise<Submitted> {
    const key =
      idempotencyKey === null ? null : { route: 'POST /v1/jobs', key: idempotencyKey, digest: digestOf(dto) };
    // Before anything else is looked at: the first reply comes again even if its policy is gone by now.
    const known = key && (await this.jobs.findKey(projectId, key));
    if (known) return this.replay(projectId, known, key);
    const job = await this.toNewJob(projectId, dto);
    const acceptance = await this.accept(job, key);
    if ('known' in acceptance) return this.replay(projectId, acceptance.known, key);
    this.metrics.jobsSubmitted.inc({ endpoint: job.endpoint });
    // The job is durable: nobody waits for its bell.
    if (job.runAt === null) void this.ring(job);
    return { row: acceptance.accepted, isReplay: false };
  }

  /** The job once it has ended, or as it is when the time is up, the client is gone or this process stops. */
  async wait(projectId: string, jobId: string, waitSeconds: number, signal: AbortSignal): Promise<WholeJob> {
    if (waitSeconds > 0) {
      const { row } = await this.get(projectId, jobId);
      if (row.finished_at === null) await this.waiter.waitForEnd(jobId, waitSeconds * 1000, signal);
    }
    return this.get(projectId, jobId);
  }

  /** Throws `not_found` for an unknown job, and for another project's. */
  async get(projectId: string, jobId: string): Promise<WholeJob> {
    const row = await this.jobs.find(projectId, jobId);
    if (!row) throw notFound(toPublicId('job', jobId));
    return { row, attempts: await this.jobs.attempts(projectId, jobId) };
  }

  /** One page, and whether there are more. */
  async list(
    projectId: string,
    filters: JobFilters,
    paging: Paging,
  ): Promise<{ rows: JobRow[]; hasMore: boolean }> {
    const after = paging.after === null ? null : toUuid('job', paging.after);
    if (paging.after !== null && after === null) {
      throw new ApiError(
        'invalid_value',
        "after must be the id of a job, the last of the page before: 'job_…'.",
        { param: 'after' },
      );
    }
    const rows = await this.jobs.list(projectId, filters, {
      limit: paging.limit + 1,
      after,
      order: paging.order,
    });
    return { rows: rows.slice(0, paging.limit), hasMore: rows.length > paging.limit };
  }

  /** Ends a job that has not ended, and its running call. A cancelled job may be cancelled again; another end is a conflict. */
  async cancel(projectId: string, jobId: string): Promise<WholeJob> {
    const isCancelled = await this.endings.cancel(projectId, jobId);
    const job = await this.get(projectId, jobId);
    if (!isCancelled && job.row.status !== 'cancelled') {
      throw new ApiError('job_not_cancellable', `The job has ended already: it is ${job.row.status}.`);
    }
    return job;
  }

  private async replay(projectId: string, known: KnownKey, key: IdempotencyKey | null): Promise<Submitted> {
    if (key && !known.digest.equals(key.digest)) {
      throw new ApiError(
        'idempotency_mismatch',
        'This Idempotency-Key was used with another body. Use a new key for a new request.',
      );
    }
    return { row: (await this.get(projectId, known.jobId)).row, isReplay: true };
  }

  private async accept(job: NewJob, key: IdempotencyKey | null) {
    try {
      return await this.jobs.accept(job, key);
    } catch (error) {
      if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
      throw new ApiError(
        'idempotency_in_flight',
        'A request with this Idempotency-Key is still under way. Try again in a second.',
        { retryAfterSeconds: 1 },
      );
    }
  }

  /** Never throws. */
  private async ring(job: NewJob): Promise<void> {
    if (await this.queue.ring('run-job', [{ id: job.id, dispatchNo: 1, priority: job.priority }])) return;
    // The job is safe without a bell; the sweeper rings once this is written, and in any case a little later.
    await this.sweeps.unring([job.id]).catch(() => undefined);
  }

  private async toNewJob(projectId: string, dto: SubmitJobDto): Promise<NewJob> {
    const { model, models } = chainNames(dto.request);
    if (dto.request['stream'] === true) {
      throw new ApiError(
        'invalid_value',
        'request.stream must be left out: a job collects the whole answer.',
        { param: 'request.stream' },
      );
    }
    // As with OpenAI, null is as good as left out.
    const webhookUrl = dto.webhook_url ?? null;
    if (webhookUrl !== null) await this.webhooks.checkUrl(webhookUrl);
    const resolved = await this.policies.resolve(projectId, model, models);
    return {
      id: newUuid(),
      projectId,
      endpoint: dto.endpoint ?? '/v1/chat/completions',
      model: resolved.model,
      policy: resolved.policy,
      chainId: resolved.chainId,
      priority: PRIORITIES[dto.priority ?? 'normal'],
      metadata: dto.metadata ?? {},
      webhookUrl,
      request: JSON.stringify(dto.request),
      runAt: dto.run_at ?? null,
      expiresInSeconds: dto.expires_in ?? DEFAULT_EXPIRES_IN_SECONDS,
    };
  }
}

/** The uuid in a path's job id. Throws `not_found`: what is no id names no job. */
export function jobUuid(id: string): string {
  const uuid = toUuid('job', id);
  if (uuid === null) throw notFound(id);
  return uuid;
}

function notFound(id: string): ApiError {
  return new ApiError('not_found', `There is no job '${id.slice(0, 64)}'.`, { param: 'id' });
}

/** What the request names: `model`, `models`, or both (then `model` is the first). */
function chainNames(request: Record<string, unknown>): { model: string | null; models: string[] } {
  const { model, models } = request;
  if (model !== undefined && (typeof model !== 'string' || model === '' || model.length > 256)) {
    throw new ApiError(
      'invalid_value',
      "request.model must be a model ('provider/model') or a policy ('policy/name').",
      { param: 'request.model' },
    );
  }
  if (models === undefined) return { model: model ?? null, models: [] };
  const isList = Array.isArray(models) && models.length >= 1 && models.length <= MOST_MODELS;
  if (
    !isList ||
    !models.every((each): each is string => typeof each === 'string' && each !== '' && each.length <= 256)
  ) {
    throw new ApiError(
      'invalid_value',
      `request.models must be a list of 1 to ${MOST_MODELS} models ('provider/model'), the first of them primary.`,
      { param: 'request.models' },
    );
  }
  return { model: model ?? null, models };
}

function digestOf(dto: SubmitJobDto): Buffer {
  return createHash('sha256').update(JSON.stringify(dto)).digest();
}
