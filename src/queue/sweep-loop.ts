import type { Logger } from '@nestjs/common';

const PERIOD_MS = 1_000;
/** While a store is away a sweeper asks less and less often, but at least this often. */
const LONGEST_PERIOD_MS = 3_000;

/**
 * Does a sweep each second, or every `periodMs`, never two at once. A sweep that throws is logged and done again, later and
 * later while it goes on throwing.
 */
export class SweepLoop {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private failures = 0;
  private isStopped = false;

  constructor(
    private readonly sweep: () => Promise<void>,
    private readonly logger: Logger,
    private readonly periodMs = PERIOD_MS,
  ) {}

  start(): void {
    const delayMs = Math.max(this.periodMs, Math.min(PERIOD_MS * 2 ** this.failures, LONGEST_PERIOD_MS));
    this.timer = setTimeout(() => {
      this.running = this.tick();
    }, delayMs);
  }

  /** Resolves when the sweep that is under way has ended; none begins after it. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private async tick(): Promise<void> {
    try {
      await this.sweep();
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      this.logger.warn(
        `A sweep failed and will be done again: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    if (!this.isStopped) this.start();
  }
}
