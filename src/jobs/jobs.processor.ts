import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import type { Listener } from '../queue/listener.js';
import { QueueService } from '../queue/queue.service.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { JobRunner } from './job-runner.js';
import { LeaseKeeper } from './lease-keeper.js';
import { linesAmong, Slots } from './slots.js';

/** A run that was stopped has only its last words to write. */
const STOP_TIMEOUT_MS = 5_000;

/** Hears `run-job` and `run-line`, which share the slots of this process: how a message becomes a run. */
@Injectable()
export class JobsProcessor implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('JobsProcessor');
  private readonly slots: Slots;
  private readonly listeners: readonly Listener[];
  private isClosing = false;

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly runner: JobRunner,
    private readonly dispatch: JobDispatchRepository,
    private readonly leases: LeaseKeeper,
    queue: QueueService,
  ) {
    const concurrency = config.workerConcurrency;
    this.slots = new Slots(concurrency);
    this.listeners = [
      queue.listen('run-job', { concurrency, handle: (id) => this.run(id, false) }),
      queue.listen('run-line', { concurrency: linesAmong(concurrency), handle: (id) => this.run(id, true) }),
    ];
  }

  onApplicationBootstrap(): void {
    for (const listener of this.listeners) listener.start();
  }

  /** Takes no new job, gives the running ones the grace, then stops them and gives them back. */
  async onModuleDestroy(): Promise<void> {
    this.isClosing = true;
    const grace = this.leases
      .allLetGo(this.config.shutdownGraceMs)
      .then(() => this.leases.stopAll('stopping'));
    const isDone = grace.then(() => this.leases.allLetGo(STOP_TIMEOUT_MS));
    await Promise.all(this.listeners.map((listener) => listener.close(isDone)));
  }

  /** The message is only a bell: whatever comes of the run stands in Postgres. */
  private async run(jobId: string, isLine: boolean): Promise<void> {
    try {
      await this.slots.take(isLine, () =>
        // Who waited for a slot until this process stops is for another one.
        this.isClosing ? this.dispatch.giveBack(jobId) : this.runner.run(jobId),
      );
    } catch (error) {
      // The job is not lost: if it was claimed, its lease runs out and the reaper makes it due again; else it is rung again.
      this.logger.error(error instanceof Error ? error : String(error), 'A run was cut off');
      await this.dispatch.giveBack(jobId).catch(() => undefined);
    }
  }
}
