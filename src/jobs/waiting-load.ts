import { Inject, Injectable } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { ApiError } from '../http/api-error.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { type Load, type WaitingLook, WaitingLoadRepository } from './waiting-load.repository.js';

export type { Load } from './waiting-load.repository.js';

/** A look costs at most one part in so many of one connection's time, however long the backlog is. */
const REST_FACTOR = 50;
/** How old a look may get before a submission has the next one taken, not waiting for it. */
const LEAST_AGE_MS = 1_000;
/** How old it must be before a submission that would be refused waits for another. */
const LEAST_AGE_IF_FULL_MS = 50;
/** What the lines of a new batch come to is held against the caps until they are there, but no longer than this. */
const BATCH_HOLD_MS = 60_000;
const RETRY_AFTER_SECONDS = 5;

/** Room that a submission has been given. */
interface Place extends Load {
  readonly projectId: string;
  /** When it is given up whatever becomes of it; null for a job, which is kept or given back. */
  readonly untilMs: number | null;
  isKept: boolean;
}

type Caps = Pick<
  AppConfig,
  'projectMaxWaitingJobs' | 'projectMaxWaitingBytes' | 'maxWaitingJobs' | 'maxWaitingBytes'
>;

/**
 * Holds submissions against the caps on what waits. What waits is counted now and then; in between, what this process
 * accepts is added to it, and a fresh count is made before anybody is refused. So a cap is exact for one process, and may
 * be passed by as much as the others accept between two counts. What was taken by workers since shows at the next count.
 */
@Injectable()
export class WaitingLoad {
  private waiting: ReadonlyMap<string, Load> = new Map();
  /** What was accepted since the last look began. */
  private accepted = new Map<string, Load>();
  /** What was accepted between the last two, while the later one is under way: it still counts. */
  private beingCounted: ReadonlyMap<string, Load> = new Map();
  private readonly places = new Map<string, Place>();
  private looking: Promise<void> | null = null;
  private lookedAtMs = -Infinity;
  private lookTookMs = 0;

  constructor(
    @Inject(APP_CONFIG) private readonly caps: Caps,
    private readonly repository: WaitingLoadRepository,
    metrics: MetricsService,
  ) {
    metrics.beforeScrape(() => {
      const { jobs, bytes } = this.loadOf(null);
      metrics.waitingJobs.set(jobs);
      metrics.waitingBytes.set(bytes);
      // A scrape shows what the last one had counted: by then a process without submissions knows it too.
      this.lookSoon();
    });
  }

  /**
   * Gives room to a job that is about to be accepted: {@link keep} it once it is durable, or {@link giveBack}. Throws
   * `queue_full` or `overloaded` if there is none.
   */
  async take(projectId: string, jobId: string, bytes: number): Promise<void> {
    await this.takePlace(jobId, { projectId, jobs: 1, bytes, untilMs: null, isKept: false });
  }

  /** As {@link take}, for a new batch. The lines of a file are not counted yet: it needs room for one. */
  async takeForBatch(projectId: string, batchId: string, load: Load): Promise<void> {
    const untilMs = performance.now() + BATCH_HOLD_MS;
    await this.takePlace(batchId, { projectId, ...load, untilMs, isKept: false });
  }

  /** The job is durable, and waits. */
  keep(id: string): void {
    const place = this.places.get(id);
    if (!place) return;
    place.isKept = true;
    // A look that is under way may have seen it or not: that is known when it ends.
    if (place.untilMs === null && this.looking === null) this.settle(id, place);
  }

  /** Nothing came of it. */
  giveBack(id: string): void {
    if (this.places.get(id)?.isKept === false) this.places.delete(id);
  }

  private async takePlace(id: string, place: Place): Promise<void> {
    if (this.lookedAtMs === -Infinity) await this.look();
    if (this.reasonAgainst(place) !== null && this.isOlderThan(LEAST_AGE_IF_FULL_MS)) await this.look();
    const refusal = this.reasonAgainst(place);
    if (refusal !== null) throw refusal;
    this.places.set(id, place);
    this.lookSoon();
  }

  private reasonAgainst(place: Place): ApiError | null {
    const { projectMaxWaitingJobs, projectMaxWaitingBytes, maxWaitingJobs, maxWaitingBytes } = this.caps;
    const more = { jobs: Math.max(1, place.jobs), bytes: place.bytes };
    const own = sum(this.loadOf(place.projectId), more);
    if (own.jobs > projectMaxWaitingJobs) return queueFull('jobs', projectMaxWaitingJobs);
    if (own.bytes > projectMaxWaitingBytes) return queueFull('bytes', projectMaxWaitingBytes);
    const all = sum(this.loadOf(null), more);
    if (all.jobs <= maxWaitingJobs && all.bytes <= maxWaitingBytes) return null;
    return new ApiError('overloaded', 'As much waits here as may. Try again when some of it has been run.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  /** What waits of a project, or of all, as far as it is known. */
  private loadOf(projectId: string | null): Load {
    const loads = [this.waiting, this.beingCounted, this.accepted].flatMap((each) =>
      ofProject(each, projectId),
    );
    const nowMs = performance.now();
    for (const [id, place] of this.places) {
      if (place.untilMs !== null && place.untilMs < nowMs) this.places.delete(id);
      else if (projectId === null || place.projectId === projectId) loads.push(place);
    }
    return loads.reduce(sum, { jobs: 0, bytes: 0 });
  }

  private isOlderThan(leastMs: number): boolean {
    return performance.now() - this.lookedAtMs > Math.max(leastMs, REST_FACTOR * this.lookTookMs);
  }

  private lookSoon(): void {
    if (this.looking !== null || !this.isOlderThan(LEAST_AGE_MS)) return;
    // Who must know it waits for one of its own, and hears what is wrong.
    void this.look().catch(() => undefined);
  }

  /** One look at a time, which all who ask meanwhile share. */
  private look(): Promise<void> {
    this.looking ??= this.takeLook().finally(() => (this.looking = null));
    return this.looking;
  }

  private async takeLook(): Promise<void> {
    const startMs = performance.now();
    const before = this.accepted;
    this.beingCounted = before;
    this.accepted = new Map();
    let found: WaitingLook;
    try {
      // Whoever is kept from now on is either there already, and seen, or counted with what was accepted since.
      found = await this.repository.look([...this.places.keys()]);
    } catch (error) {
      for (const [projectId, load] of before) add(this.accepted, projectId, load);
      throw error;
    } finally {
      this.beingCounted = new Map();
    }
    this.lookedAtMs = performance.now();
    this.lookTookMs = this.lookedAtMs - startMs;
    this.waiting = found.waiting;
    for (const [id, place] of this.places) {
      if (found.seen.has(id)) this.places.delete(id);
      else if (place.isKept && place.untilMs === null) this.settle(id, place);
    }
  }

  private settle(id: string, place: Place): void {
    this.places.delete(id);
    add(this.accepted, place.projectId, place);
  }
}

function ofProject(loads: ReadonlyMap<string, Load>, projectId: string | null): Load[] {
  if (projectId === null) return [...loads.values()];
  const load = loads.get(projectId);
  return load ? [load] : [];
}

function add(loads: Map<string, Load>, projectId: string, load: Load): void {
  loads.set(projectId, sum(loads.get(projectId) ?? { jobs: 0, bytes: 0 }, load));
}

function sum(one: Load, other: Load): Load {
  return { jobs: one.jobs + other.jobs, bytes: one.bytes + other.bytes };
}

/** The headers are those of draft-ietf-httpapi-ratelimit-headers. */
function queueFull(unit: 'jobs' | 'bytes', cap: number): ApiError {
  const what = unit === 'jobs' ? `${cap} jobs` : `requests of ${cap} bytes`;
  return new ApiError(
    'queue_full',
    `The project may have ${what} waiting, and this would be more. Try again when some have been run.`,
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      headers: {
        'ratelimit-policy': `"waiting-${unit}";q=${cap}`,
        ratelimit: `"waiting-${unit}";r=0;t=${RETRY_AFTER_SECONDS}`,
      },
    },
  );
}
