import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Inject, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Job } from 'bullmq';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { QueueService } from '../queue/queue.service.js';
import type { MessageData } from '../queue/queues.js';
import { WORKER_OPTIONS } from '../queue/worker-options.js';
import { JobRunner } from './job-runner.js';
import { JobSweepsRepository } from './job-sweeps.repository.js';
import { LeaseKeeper } from './lease-keeper.js';

/** A run that was stopped has only its last words to write. */
const STOP_TIMEOUT_MS = 5_000;

/** Hears `run-job`. */
@Processor('run-job', WORKER_OPTIONS)
export class JobsProcessor extends WorkerHost implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('JobsProcessor');

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly runner: JobRunner,
    private readonly sweeps: JobSweepsRepository,
    private readonly leases: LeaseKeeper,
    private readonly queue: QueueService,
  ) {
    super();
  }

  onApplicationBootstrap(): void {
    this.worker.concurrency = this.config.workerConcurrency;
    this.worker.run().catch((error: unknown) => this.logger.error(`The worker ended: ${String(error)}`));
  }

  /** The message is only a bell: whatever comes of the run stands in Postgres. */
  async process({ data }: Job<MessageData>): Promise<void> {
    try {
      await this.runner.run(data.id);
    } catch (error) {
      // The job is not lost: if it was claimed, its lease runs out and the reaper makes it due again; else it is rung again.
      this.logger.error(error instanceof Error ? error : String(error), 'A run was cut off');
      await this.sweeps.unring([data.id]).catch(() => undefined);
    }
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.logger.warn(`run-job: ${error.message}`);
  }

  /** Takes no new job, gives the running ones the grace, then stops them and gives them back. */
  async onModuleDestroy(): Promise<void> {
    const grace = this.leases
      .allLetGo(this.config.shutdownGraceMs)
      .then(() => this.leases.stopAll('stopping'));
    await this.queue.closeWorker(
      this.worker,
      grace.then(() => this.leases.allLetGo(STOP_TIMEOUT_MS)),
    );
  }
}
