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
import { Dispatcher } from './dispatcher.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { JobRunner, type TakenJob } from './job-runner.js';
import { LeaseKeeper } from './lease-keeper.js';
import { messagesFor, Slots } from './slots.js';

/** A run that was stopped has only its last words to write. */
const STOP_TIMEOUT_MS = 5_000;

/** Who finds no slot within this time is given back, for another worker to take that has one. */
const PATIENCE_MS = 5_000;

/** Hears `run-job` and `run-line`, which share the slots of this process: how a message becomes runs. A message is done with when its jobs are taken. */
@Injectable()
export class JobsProcessor implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('JobsProcessor');
  private readonly slots: Slots;
  private readonly listeners: readonly Listener[];
  private readonly taking = new Set<Promise<void>>();
  private isClosing = false;

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly runner: JobRunner,
    private readonly dispatch: JobDispatchRepository,
    private readonly dispatcher: Dispatcher,
    private readonly leases: LeaseKeeper,
    queue: QueueService,
  ) {
    this.slots = new Slots(config.workerConcurrency);
    const messages = messagesFor(config.workerConcurrency);
    this.listeners = [
      queue.listen('run-job', { concurrency: messages.jobs, handle: (id) => this.take(id, false) }),
      queue.listen('run-line', { concurrency: messages.lines, handle: (id) => this.take(id, true) }),
    ];
  }

  onApplicationBootstrap(): void {
    for (const listener of this.listeners) listener.start();
  }

  /** Takes no new job, gives the running ones the grace, then stops them and gives them back. */
  async onModuleDestroy(): Promise<void> {
    this.isClosing = true;
    // What is being taken just now will run, and has the grace as well.
    const grace = Promise.allSettled(this.taking)
      .then(() => this.leases.allLetGo(this.config.shutdownGraceMs))
      .then(() => this.leases.stopAll('stopping'));
    const isDone = grace.then(() => this.leases.allLetGo(STOP_TIMEOUT_MS));
    // A listener has no message in its hands while its jobs run: its end is not theirs.
    await Promise.all([isDone, ...this.listeners.map((listener) => listener.close(isDone))]);
  }

  /** The message is only a bell: whatever comes of the run stands in Postgres. */
  private async take(jobId: string, isLine: boolean): Promise<void> {
    const leave = this.isClosing ? null : await this.slots.take(isLine, PATIENCE_MS);
    // Who waited for a slot until this process stops is for another one.
    if (leave === null || this.isClosing) {
      leave?.();
      return this.giveBack(jobId);
    }
    const taking = this.begin(jobId, leave);
    this.taking.add(taking);
    await taking.finally(() => this.taking.delete(taking));
  }

  private async begin(jobId: string, leave: () => void): Promise<void> {
    try {
      const taken = await this.runner.take(jobId);
      if (taken) void this.run(taken).finally(leave);
      else leave();
    } catch (error) {
      leave();
      this.logger.error(error instanceof Error ? error : String(error), 'A job could not be taken');
      await this.giveBack(jobId);
    }
  }

  private async run(taken: TakenJob): Promise<void> {
    try {
      await this.runner.run(taken);
    } catch (error) {
      // The job is not lost: its lease runs out and the reaper makes it due again.
      this.logger.error(error instanceof Error ? error : String(error), 'A run was cut off');
    }
  }

  private async giveBack(jobId: string): Promise<void> {
    try {
      await this.dispatcher.ring(await this.dispatch.giveBack(jobId));
    } catch {
      // It is rung again in a while.
    }
  }
}
