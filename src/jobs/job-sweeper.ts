import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { DATABASE_URL } from '../storage/storage.module.js';
import { RENEWAL_GRACE_MS } from '../storage/lease.js';
import { Notifications } from '../storage/notifications.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { QueueEpoch } from '../queue/queue-epoch.js';
import { SweepLoop } from '../queue/sweep-loop.js';
import { Dispatcher } from './dispatcher.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { JobEndings } from './job-endings.js';
import { CANCEL_CHANNEL } from './jobs.repository.js';
import { LeaseKeeper } from './lease-keeper.js';

/** Few enough that no step takes long. */
const MOST_PER_STEP = 100;

/**
 * What makes losing every message harmless: each second it takes back what dead workers held, ends what is past its
 * deadline, and has the window filled with what is due. Any number of processes may do it at once. It also hears which
 * jobs were cancelled, so that their calls stop at once.
 */
@Injectable()
export class JobSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('JobSweeper');
  private readonly cancels: Notifications;
  private readonly loop = new SweepLoop(() => this.sweep(), this.logger);
  private isStopped = false;
  private mayReapFromMs = 0;
  private readonly isQueueLost: () => Promise<boolean>;

  constructor(
    @Inject(DATABASE_URL) databaseUrl: string,
    private readonly endings: JobEndings,
    private readonly dispatcher: Dispatcher,
    dispatch: JobDispatchRepository,
    queueEpoch: QueueEpoch,
    private readonly metrics: MetricsService,
    private readonly leases: LeaseKeeper,
  ) {
    this.isQueueLost = queueEpoch.watch((epoch) => dispatch.noteEpoch(epoch));
    this.cancels = new Notifications(
      databaseUrl,
      CANCEL_CHANNEL,
      (jobId) => this.leases.stop(jobId, 'cancelled'),
      (error) => this.logger.warn(`Cancellations are heard late: ${error.message}`),
    );
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.cancels.open();
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.isStopped = true;
    await this.loop.stop();
    await this.cancels.close();
  }

  private async sweep(): Promise<void> {
    try {
      // After an outage all leases have run out although their workers live: they are given the time to renew them.
      if (performance.now() >= this.mayReapFromMs) await this.untilFewer(() => this.reap());
      await this.untilFewer(() => this.endings.expire(MOST_PER_STEP));
      await this.noticeLoss();
      await this.dispatcher.fill();
    } catch (error) {
      this.mayReapFromMs = performance.now() + RENEWAL_GRACE_MS;
      throw error;
    }
  }

  private async reap(): Promise<number> {
    const { taken, again } = await this.endings.reap(MOST_PER_STEP);
    await this.dispatcher.ring(again);
    return taken;
  }

  /** Sees that the queue's store was wiped or started anew, and has what was rung before rung again. */
  private async noticeLoss(): Promise<void> {
    if (!(await this.isQueueLost())) return;
    this.metrics.queueLosses.inc({ of: 'jobs' });
    this.logger.log('The store of the queue is new, or another one: what waits is rung again');
  }

  private async untilFewer(step: () => Promise<number>): Promise<void> {
    while (!this.isStopped && (await step()) === MOST_PER_STEP);
  }
}
