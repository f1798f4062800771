import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { QueueService } from '../queue/queue.service.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { Filling } from './dispatch-window.repository.js';
import { groupsOf, type JobBell, MOST_TOGETHER } from './job-bell.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { LineDispatchRepository } from './line-dispatch.repository.js';

/** Most steps of one filling; the next one goes on. */
const MOST_STEPS = 100;
/** Fillings that are asked for because jobs were taken come no closer to each other than this. */
const PAUSE_MS = 100;

/**
 * Keeps the window filled: a bounded number of jobs that are rung and not taken yet, fairly drawn from projects and batches.
 * Any number of processes may do it at once.
 */
@Injectable()
export class Dispatcher implements OnModuleDestroy {
  private readonly logger = new Logger('Dispatcher');
  /** Whether the backlog had more than the window had room for when it was last looked at. */
  private isFull = false;
  /**
   * Whether the store failed us the last time. What was sent then may be there all the same: bells that are rung by themselves again are
   * then found to be there, and groups would not be.
   */
  private isTroubled = false;
  private filling: Promise<number> | null = null;
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor(
    private readonly dispatch: JobDispatchRepository,
    private readonly lineDispatch: LineDispatchRepository,
    private readonly queue: QueueService,
    private readonly metrics: MetricsService,
  ) {}

  /** Rings what the window has room for, and what was rung long ago; answers how many. Throws when the database is away. */
  async fill(): Promise<number> {
    // Who comes while it is being filled waits for that: the next one would find nothing else.
    this.filling ??= this.fillOnce().finally(() => (this.filling = null));
    return this.filling;
  }

  /** Says that jobs were taken, or came in: the window is filled again soon. Never throws. */
  soon(): void {
    if (this.timer !== undefined || this.isStopped) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.fill().catch((error: unknown) => this.logger.debug(`Not filled: ${String(error)}`));
    }, PAUSE_MS);
  }

  /** Says that a job was taken; matters only while there is a backlog. */
  taken(): void {
    if (this.isFull) this.soon();
  }

  /** Rings these bells; those that could not be rung are rung by the next filling. */
  async ring(bells: readonly JobBell[]): Promise<boolean> {
    let areRung = true;
    for (const name of ['run-job', 'run-line'] as const) {
      const mine = bells.filter((bell) => bell.queue === name);
      if (mine.length === 0) continue;
      const groups = groupsOf(mine, this.isTroubled ? 1 : MOST_TOGETHER[name]);
      this.isTroubled = !(await this.queue.ringGroups(name, groups));
      if (!this.isTroubled) continue;
      areRung = false;
      await this.dispatch.unring(mine.map((bell) => bell.id));
    }
    return areRung;
  }

  onModuleDestroy(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private async fillOnce(): Promise<number> {
    const lines = await this.inSteps(() => this.lineDispatch.fill());
    const jobs = await this.inSteps(() => this.dispatch.fill());
    const unheard = [...(await this.dispatch.ringAgain()), ...(await this.lineDispatch.ringAgain())];
    const again = await this.rung(unheard);
    this.isFull = lines.isFull || jobs.isFull;
    return lines.count + jobs.count + again;
  }

  /** Each step is rung as soon as it is noted; a store that is away is not asked again. */
  private async inSteps(fill: () => Promise<Filling>): Promise<{ count: number; isFull: boolean }> {
    let count = 0;
    for (let step = 1; ; step += 1) {
      const { bells, isCut, isFull } = await fill();
      const rung = await this.rung(bells);
      count += rung;
      if (!isCut || rung < bells.length || step === MOST_STEPS) return { count, isFull: isFull || isCut };
    }
  }

  private async rung(bells: readonly JobBell[]): Promise<number> {
    if (!(await this.ring(bells))) return 0;
    this.metrics.sweeperRung.inc(bells.length);
    return bells.length;
  }
}
