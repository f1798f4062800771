import { Injectable } from '@nestjs/common';
import type { Bell } from '../queue/queues.js';
import { GroupCommit } from '../storage/group-commit.js';
import { toPublicId } from '../storage/ids.js';
import { LARGE_TEXT } from '../storage/table-of.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { EventType } from '../webhooks/event.js';
import { WebhooksService } from '../webhooks/webhooks.service.js';
import { BatchBell } from './batch-bell.js';
import { endLines } from './batch-lines.repository.js';
import type { JobBell } from './job-bell.js';
import type { AlsoWrite, EndedByLease, EndedJob, JobEnd } from './job-ends.repository.js';
import { JobRunsRepository } from './job-runs.repository.js';
import { JobSweepsRepository } from './job-sweeps.repository.js';
import { JobWaiter } from './job-waiter.js';
import { JobsRepository } from './jobs.repository.js';

const EVENT_TYPES: Readonly<Record<EndedJob['status'], EventType>> = {
  completed: 'job.completed',
  failed: 'job.failed',
  cancelled: 'job.cancelled',
  expired: 'job.expired',
};

/**
 * The end of a job, whichever way it comes: its events, and its place in its batch's tally, are written in the transaction that
 * ends it; the bells are rung, the waiters are told and the counters turned after the commit.
 */
@Injectable()
export class JobEndings {
  private readonly ends = new GroupCommit<JobEnd, true>(
    async (ends, company) => this.endAll(ends, await this.runs.end(ends, company, this.alsoWrite)),
    isLarge,
  );
  /** Most end in one statement; those to whose end more belongs after all are left out of it, and end as the others. */
  private readonly quietEnds = new GroupCommit<JobEnd, true>(
    async (ends, company) =>
      this.endAll(
        ends,
        company === 'together'
          ? { jobs: await this.runs.endQuiet(ends), bells: [] }
          : await this.runs.end(ends, company, this.alsoWrite),
      ),
    isLarge,
  );

  constructor(
    private readonly runs: JobRunsRepository,
    private readonly sweeps: JobSweepsRepository,
    private readonly jobs: JobsRepository,
    private readonly webhooks: WebhooksService,
    private readonly waiter: JobWaiter,
    private readonly batches: BatchBell,
    private readonly metrics: MetricsService,
  ) {}

  /** False if the lease is lost: then nothing was written. */
  async end(end: JobEnd, isQuiet: boolean): Promise<boolean> {
    return (await (isQuiet ? this.quietEnds : this.ends).put(end)) !== null;
  }

  /** False if the job is not there to be cancelled. */
  async cancel(projectId: string, jobId: string): Promise<boolean> {
    const done = await this.jobs.cancel(projectId, jobId, this.alsoWrite);
    if (!done) return false;
    await this.tell([done.job], done.bells);
    return true;
  }

  /** Takes back what dead workers held; answers how many jobs that were, and the bells of those that are to run again. */
  async reap(limit: number): Promise<{ taken: number; again: JobBell[] }> {
    const { taken, ended, bells, again } = await this.sweeps.reap(limit, this.alsoWrite);
    await this.tell(ended, bells);
    return { taken, again };
  }

  /** Ends what waited past its deadline; answers how many jobs that were. */
  async expire(limit: number): Promise<number> {
    const { ended, bells } = await this.sweeps.expire(limit, this.alsoWrite);
    await this.tell(ended, bells);
    return ended.length;
  }

  private endAll(
    ends: readonly JobEnd[],
    { jobs, bells }: { readonly jobs: readonly EndedByLease[]; readonly bells: readonly Bell[] },
  ): (true | null)[] {
    // Those who end next do not wait for the bells.
    void this.tell(jobs, bells);
    const ended = new Map(jobs.map((job) => [job.id, job.token]));
    return ends.map(({ lease }) => ended.get(lease.jobId) === lease.token || null);
  }

  private readonly alsoWrite: AlsoWrite = async (trx, ended, { areCounted } = { areCounted: false }) => {
    if (ended.length === 0) return [];
    const lines = ended.filter((job) => job.batchId !== null);
    if (lines.length > 0) await endLines(trx, lines, areCounted);
    return this.webhooks.recordEvents(
      trx,
      ended.map((job) => ({
        projectId: job.projectId,
        type: EVENT_TYPES[job.status],
        jobId: job.id,
        batchId: null,
        url: job.webhookUrl,
        isWatched: job.isWatched,
        data: {
          id: toPublicId('job', job.id),
          object: 'job',
          status: job.status,
          metadata: job.metadata,
          version: job.version,
        },
      })),
    );
  };

  private async tell(ended: readonly EndedJob[], bells: readonly Bell[]): Promise<void> {
    for (const job of ended) {
      this.metrics.jobsEnded.inc({ status: job.status });
      this.metrics.jobDuration.observe({ status: job.status }, job.durationMs / 1000);
      this.waiter.ended(job.id);
      if (job.batchId !== null) this.batches.news(job.batchId);
    }
    await this.webhooks.ring(bells);
  }
}

function isLarge({ ending }: JobEnd): boolean {
  return (ending.response?.body.length ?? 0) > LARGE_TEXT;
}
