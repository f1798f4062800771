import { Logger } from '@nestjs/common';

/** Receivers of webhooks allow five minutes; a clock that runs away is told of long before. */
const MOST_SKEW_MS = 5_000;
const PAUSE_MS = 3_600_000;

/** Says, once an hour at most, that this process's clock is not the database's. No lease goes by it, but the time in a signature does. */
export class ClockWatch {
  private readonly logger = new Logger('Clock');
  private quietUntilMs = 0;

  /** Hears by how many milliseconds this process's clock is ahead of the database's; negative if it is behind. */
  heard(skewMs: number): void {
    if (Math.abs(skewMs) <= MOST_SKEW_MS || performance.now() < this.quietUntilMs) return;
    this.quietUntilMs = performance.now() + PAUSE_MS;
    const seconds = Math.round(Math.abs(skewMs) / 1_000);
    this.logger.warn(
      `The clock of this machine is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the database's: receivers may refuse its webhooks, which are signed with the time`,
    );
  }
}
