import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { JobsRepository } from './jobs.repository.js';

/** How long after an answer the next question is asked. */
const LEAST_PAUSE_MS = 20;
const MOST_PAUSE_MS = 200;
/** In between, a question takes one part in so many of the time, however many wait. */
const PAUSE_FACTOR = 20;

/**
 * Lets requests wait for the end of their jobs. All waiting requests of a process share one question to the database
 * per round, so a thousand waiters cost as much as one. A job that ends in this process is told of at once.
 */
@Injectable()
export class JobWaiter implements OnModuleDestroy {
  private readonly logger = new Logger('JobWaiter');
  private readonly waiting = new Map<string, Set<() => void>>();
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(private readonly jobs: JobsRepository) {}

  /** Of a job that had not ended a moment ago: resolves when it has, the time is up, the signal aborts, or this process stops. Never throws. */
  async waitForEnd(jobId: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (timeoutMs <= 0 || signal.aborted || this.isClosed) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.remove(jobId, done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener('abort', done);
      const others = this.waiting.get(jobId) ?? new Set();
      this.waiting.set(jobId, others.add(done));
      this.timer ??= setTimeout(() => void this.ask(), LEAST_PAUSE_MS);
    });
  }

  /** Tells the waiters of this job. */
  ended(jobId: string): void {
    for (const done of [...(this.waiting.get(jobId) ?? [])]) done();
  }

  onModuleDestroy(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const jobId of [...this.waiting.keys()]) this.ended(jobId);
  }

  private async ask(): Promise<void> {
    const startMs = performance.now();
    try {
      for (const id of await this.jobs.endedAmong([...this.waiting.keys()])) this.ended(id);
    } catch (error) {
      this.logger.warn(`Could not ask which jobs have ended: ${String(error)}`);
    }
    const restMs = PAUSE_FACTOR * (performance.now() - startMs);
    const pauseMs = Math.min(MOST_PAUSE_MS, Math.max(LEAST_PAUSE_MS, restMs));
    this.timer =
      this.waiting.size > 0 && !this.isClosed ? setTimeout(() => void this.ask(), pauseMs) : undefined;
  }

  private remove(jobId: string, done: () => void): void {
    const others = this.waiting.get(jobId);
    others?.delete(done);
    if (others?.size === 0) this.waiting.delete(jobId);
  }
}
