import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Job } from 'bullmq';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { QueueService } from '../queue/queue.service.js';
import type { MessageData } from '../queue/queues.js';
import { WORKER_OPTIONS } from '../queue/worker-options.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { JobRunner } from './job-runner.js';
import { LeaseKeeper } from './lease-keeper.js';
import { linesAmong, Slots } from './slots.js';

/** A run that was stopped has only its last words to write. */
const STOP_TIMEOUT_MS = 5_000;

/** What both processors share: the slots of this process, and how a message becomes a run. */
@Injectable()
export class RunSlots {
  private readonly logger = new Logger('JobsProcessor');
  private readonly slots: Slots;
  private isClosing = false;

  constructor(
    @Inject(APP_CONFIG) readonly config: AppConfig,
    private readonly runner: JobRunner,
    private readonly dispatch: JobDispatchRepository,
    private readonly leases: LeaseKeeper,
    private readonly queue: QueueService,
  ) {
    this.slots = new Slots(config.workerConcurrency);
  }

  /** The message is only a bell: whatever comes of the run stands in Postgres. */
  async run(jobId: string, isLine: boolean): Promise<void> {
    try {
      await this.slots.take(isLine, () =>
        // Who waited for a slot until this process stops is for another one.
        this.isClosing ? this.dispatch.unring([jobId]) : this.runner.run(jobId),
      );
    } catch (error) {
      // The job is not lost: if it was claimed, its lease runs out and the reaper makes it due again; else it is rung again.
      this.logger.error(error instanceof Error ? error : String(error), 'A run was cut off');
      await this.dispatch.unring([jobId]).catch(() => undefined);
    }
  }

  start(worker: WorkerHost['worker'], concurrency: number): void {
    worker.concurrency = concurrency;
    worker.run().catch((error: unknown) => this.logger.error(`The worker ended: ${String(error)}`));
  }

  warn(queue: string, error: Error): void {
    this.logger.warn(`${queue}: ${error.message}`);
  }

  /** Takes no new job, gives the running ones the grace, then stops them and gives them back. */
  async close(worker: WorkerHost['worker']): Promise<void> {
    this.isClosing = true;
    const grace = this.leases
      .allLetGo(this.config.shutdownGraceMs)
      .then(() => this.leases.stopAll('stopping'));
    await this.queue.closeWorker(
      worker,
      grace.then(() => this.leases.allLetGo(STOP_TIMEOUT_MS)),
    );
  }
}

/** Hears `run-job`. */
@Processor('run-job', WORKER_OPTIONS)
export class JobsProcessor extends WorkerHost implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(private readonly slots: RunSlots) {
    super();
  }

  onApplicationBootstrap(): void {
    this.slots.start(this.worker, this.slots.config.workerConcurrency);
  }

  process({ data }: Job<MessageData>): Promise<void> {
    return this.slots.run(data.id, false);
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.slots.warn('run-job', error);
  }

  onModuleDestroy(): Promise<void> {
    return this.slots.close(this.worker);
  }
}

/** Hears `run-line`. */
@Processor('run-line', WORKER_OPTIONS)
export class LinesProcessor extends WorkerHost implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(private readonly slots: RunSlots) {
    super();
  }

  onApplicationBootstrap(): void {
    this.slots.start(this.worker, linesAmong(this.slots.config.workerConcurrency));
  }

  process({ data }: Job<MessageData>): Promise<void> {
    return this.slots.run(data.id, true);
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.slots.warn('run-line', error);
  }

  onModuleDestroy(): Promise<void> {
    return this.slots.close(this.worker);
  }
}
