import { setTimeout as delay } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { SweepLoop } from '../queue/sweep-loop.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { cutoffsOf } from './cutoffs.js';
import { KeptProjectsRepository } from './kept-projects.repository.js';
import type { KeptProject, Removed, RemovedKind, Remover } from './remover.js';
import { RetentionService } from './retention.service.js';

const PERIOD_MS = 60_000;
/** So many steps one walk takes in one sweep; the next sweep goes on from there. */
const MOST_STEPS = 300;
/** After each step the database is left alone for as long as the step took, and at least so long. */
const SHORTEST_PAUSE_MS = 10;

/**
 * Has what is too old removed, each minute, in every worker process. Any number of them may do it at once: what one of them
 * holds the others pass over.
 */
@Injectable()
export class RetentionSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Retention');
  private readonly loop = new SweepLoop(() => this.sweep(), this.logger, PERIOD_MS);
  private readonly stopping = new AbortController();
  /** Walks that were not through when their sweep ended. */
  private readonly underWay = new Map<Remover, AsyncGenerator<Removed>>();
  private readonly warnedOf = new Set<string>();

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly projects: KeptProjectsRepository,
    private readonly retention: RetentionService,
    private readonly metrics: MetricsService,
  ) {}

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.loop.stop();
  }

  /** One sweep. Throws when the database is away, or a room can't remove what it should; the others have done theirs then. */
  async sweep(): Promise<void> {
    const projects = await this.keptProjects();
    const removed = new Map<RemovedKind, number>();
    const errors: unknown[] = [];
    for (const remover of this.retention.removers) {
      try {
        await this.walk(remover, projects, ({ kind, count }) => {
          removed.set(kind, (removed.get(kind) ?? 0) + count);
          this.metrics.removed.inc({ kind }, count);
        });
      } catch (error) {
        errors.push(error);
      }
    }
    const told = [...removed].filter(([, count]) => count > 0).map(([kind, count]) => `${kind} ${count}`);
    if (told.length > 0) this.logger.log(`Removed what was too old: ${told.join(', ')}`);
    if (errors.length > 0) throw errors[0];
  }

  private async walk(
    remover: Remover,
    projects: readonly KeptProject[],
    note: (removed: Removed) => void,
  ): Promise<void> {
    const steps = this.underWay.get(remover) ?? remover.walk(projects);
    // Forgotten until it is known that there is more: a walk that threw is over.
    this.underWay.delete(remover);
    for (let count = 0; count < MOST_STEPS && !this.stopping.signal.aborted; count++) {
      const beganMs = performance.now();
      const step = await steps.next();
      if (step.done === true) return;
      note(step.value);
      const pauseMs = Math.max(SHORTEST_PAUSE_MS, performance.now() - beganMs);
      await delay(pauseMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
    this.underWay.set(remover, steps);
  }

  private async keptProjects(): Promise<KeptProject[]> {
    const { retention } = this.config;
    const { projects, now } = await this.projects.read();
    const names = new Set(projects.map((project) => project.name));
    for (const name of retention.projects.keys()) {
      if (names.has(name) || this.warnedOf.has(name)) continue;
      this.warnedOf.add(name);
      this.logger.warn(`retention.projects.${name}: there is no such project`);
    }
    return projects.map(({ id, name }) => ({ id, cutoffs: cutoffsOf(retention, name, now) }));
  }
}
