/** Jobs: takes a job durably, runs it down its chain, shows it and its attempts. Nothing accepted is ever lost. */
import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import { digestOf, type IdempotencyKey, IdempotencyService, type Once } from '../http/idempotency.service.js';
import { jsonOf, textOf } from '../http/kept-json.js';
import { afterUuid, type Paging } from '../http/paging.js';
import { PoliciesService } from '../policies/policies.service.js';
import { PRIORITIES } from '../queue/queues.js';
import { QueueService } from '../queue/queue.service.js';
import { GroupCommit } from '../storage/group-commit.js';
import { newUuid, toPublicId, toUuid } from '../storage/ids.js';
import { LARGE_TEXT } from '../storage/table-of.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { WebhooksService } from '../webhooks/webhooks.service.js';
import { chainNames } from './chain-names.js';
import { WaitingLoad } from './waiting-load.js';
import type { SubmitJobDto } from './job.dto.js';
import { groupsOf, MOST_TOGETHER } from './job-bell.js';
import { JobEndings } from './job-endings.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { JobWaiter } from './job-waiter.js';
import { JobRetentionRepository } from './job-retention.repository.js';
import {
  type AcceptedJob,
  type JobFilters,
  type JobRow,
  JobsRepository,
  type NewJob,
  type WholeJob,
  type WholeJobRow,
} from './jobs.repository.js';

/** What came of a submission. */
export interface Submitted {
  /** The job as it is now. */
  readonly row: WholeJobRow;
  /** True if an earlier request with the same idempotency key made the job. */
  readonly isReplay: boolean;
}

const DEFAULT_EXPIRES_IN_SECONDS = 86_400;

/** What the doors of jobs do. */
@Injectable()
export class JobsService {
  private readonly accepting = new GroupCommit<NewJob, AcceptedJob>(
    (jobs) => this.acceptAll(jobs),
    ({ requestBytes }) => requestBytes > LARGE_TEXT,
  );

  constructor(
    private readonly jobs: JobsRepository,
    private readonly removing: JobRetentionRepository,
    private readonly dispatch: JobDispatchRepository,
    private readonly idempotency: IdempotencyService,
    private readonly policies: PoliciesService,
    private readonly webhooks: WebhooksService,
    private readonly queue: QueueService,
    private readonly endings: JobEndings,
    private readonly waiter: JobWaiter,
    private readonly load: WaitingLoad,
    private readonly metrics: MetricsService,
  ) {}

  /** Accepts a job: when this resolves it is durable. Throws an ApiError when something about it is wrong. */
  async submit(projectId: string, dto: SubmitJobDto, idempotencyKey: string | null): Promise<Submitted> {
    const key =
      idempotencyKey === null ? null : { route: 'POST /v1/jobs', key: idempotencyKey, digest: digestOf(dto) };
    // Before anything else is looked at: the first reply comes again even if its policy is gone by now.
    const known = key && (await this.idempotency.known(projectId, key));
    if (known !== null) return this.replay(projectId, known, dto);
    const job = await this.toNewJob(projectId, dto);
    await this.load.take(projectId, job.id, job.requestBytes);
    const accepted = await this.accept(job, key);
    if ('knownId' in accepted) return this.replay(projectId, accepted.knownId, dto);
    this.metrics.jobsSubmitted.inc({ endpoint: job.endpoint });
    const { row } = accepted.made;
    return { row, isReplay: false };
  }

  /** The job once it has ended, or as it is when the time is up, the client is gone or this process stops. */
  async wait(projectId: string, jobId: string, waitSeconds: number, signal: AbortSignal): Promise<WholeJob> {
    const job = await this.get(projectId, jobId);
    const isEnded = job.row.finished_at !== null;
    return isEnded || waitSeconds === 0 ? job : this.waitOn(projectId, job.row, waitSeconds, signal);
  }

  /** As {@link wait}, of a job that was just seen like this. */
  async waitOn(projectId: string, seen: JobRow, waitSeconds: number, signal: AbortSignal): Promise<WholeJob> {
    if (seen.finished_at === null) await this.waiter.waitForEnd(seen.id, waitSeconds * 1000, signal);
    return this.get(projectId, seen.id);
  }

  /** Throws `not_found` for an unknown job, and for another project's. */
  async get(projectId: string, jobId: string): Promise<WholeJob> {
    const job = await this.jobs.find(projectId, jobId);
    if (!job) throw notFound(toPublicId('job', jobId));
    return job;
  }

  /** One page, and whether there are more. */
  async list(
    projectId: string,
    filters: JobFilters,
    paging: Paging,
  ): Promise<{ rows: JobRow[]; hasMore: boolean }> {
    const after = afterUuid(paging, 'job');
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

  /** Removes a job that has ended, with all that hangs on it. Throws `not_found`, `job_not_ended` and `job_in_batch`. */
  async delete(projectId: string, jobId: string): Promise<void> {
    if (await this.removing.removeOne(projectId, jobId)) return;
    const { row } = await this.get(projectId, jobId);
    if (row.batch_id !== null) {
      throw new ApiError(
        'job_in_batch',
        'The job is a line of a batch: it can not be deleted alone, and is removed with its batch.',
      );
    }
    throw new ApiError(
      'job_not_ended',
      `The job is ${row.status}. Cancel it, or delete it once it has ended.`,
    );
  }

  /** Accepts the job in the room that it was given. */
  private async accept(job: NewJob, key: IdempotencyKey | null): Promise<Once<AcceptedJob>> {
    try {
      const accepted = key === null ? { made: await this.acceptOne(job) } : await this.acceptOnce(job, key);
      if ('made' in accepted) this.load.keep(job.id);
      return accepted;
    } finally {
      this.load.giveBack(job.id);
    }
  }

  private async acceptOne(job: NewJob): Promise<AcceptedJob> {
    const accepted = await this.accepting.put(job);
    if (!accepted) throw new Error('A job was inserted and did not come back');
    return accepted;
  }

  private async acceptAll(jobs: readonly NewJob[]): Promise<AcceptedJob[]> {
    const accepted = await this.jobs.accept(jobs);
    void this.ring(accepted);
    return accepted;
  }

  private async acceptOnce(job: NewJob, key: IdempotencyKey): Promise<Once<AcceptedJob>> {
    const once = await this.idempotency.once(job.projectId, key, job.id, (trx) => this.jobs.insert(trx, job));
    if ('made' in once) void this.ring([once.made]);
    return once;
  }

  private async replay(projectId: string, jobId: string, dto: SubmitJobDto): Promise<Submitted> {
    const { row } = await this.get(projectId, jobId);
    // The same key stands for the same body: it says what is forgotten.
    const request = row.request ?? textOf(jsonOf(dto.request));
    return { row: { ...row, request, requestSha256: null }, isReplay: true };
  }

  /** Never throws. The jobs are durable: nobody waits for their bells. */
  private async ring(accepted: readonly AcceptedJob[]): Promise<void> {
    const bells = accepted.flatMap(({ bell }) => (bell === null ? [] : [bell]));
    if (await this.queue.ringGroups('run-job', groupsOf(bells, MOST_TOGETHER['run-job']))) return;
    // The dispatcher rings once this is written, and in any case a little later.
    await this.dispatch.unring(bells.map((bell) => bell.id)).catch(() => undefined);
  }

  private async toNewJob(projectId: string, dto: SubmitJobDto): Promise<NewJob> {
    const { model, models } = chainNames(dto.request);
    // As with OpenAI, null is as good as left out.
    const webhookUrl = dto.webhook_url ?? null;
    if (webhookUrl !== null) await this.webhooks.checkUrl(webhookUrl);
    const resolved = await this.policies.resolve(projectId, model, models);
    const request = jsonOf(dto.request);
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
      request: textOf(request),
      requestBytes: request.length,
      store: dto.store ?? true,
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
