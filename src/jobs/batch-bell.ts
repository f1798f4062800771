import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { QueueService } from '../queue/queue.service.js';

/** News of one batch that come within this time of each other are told together. */
const PAUSE_MS = 200;

/** Calls whoever advances a batch when something happened to its jobs: at once, and not more often than is of use. */
@Injectable()
export class BatchBell implements OnModuleDestroy {
  /** By batch, what happens when its pause is over: nothing, or one more call. */
  private readonly pauses = new Map<string, { timer: NodeJS.Timeout; hasNews: boolean }>();
  private rung = 0;

  constructor(private readonly queue: QueueService) {}

  /** Never throws, and nobody waits for it: who is not called looks by himself soon. */
  news(batchId: string): void {
    const pause = this.pauses.get(batchId);
    if (pause) {
      pause.hasNews = true;
      return;
    }
    this.pauses.set(batchId, { timer: setTimeout(() => this.pauseOver(batchId), PAUSE_MS), hasNews: false });
    // A number of its own: a message that is like one in work would be dropped, and this one may tell more.
    const dispatchNo = Date.now() * 1_000 + (this.rung++ % 1_000);
    void this.queue.ring('advance-batch', [{ id: batchId, dispatchNo }]);
  }

  onModuleDestroy(): void {
    for (const { timer } of this.pauses.values()) clearTimeout(timer);
  }

  private pauseOver(batchId: string): void {
    const hasNews = this.pauses.get(batchId)?.hasNews === true;
    this.pauses.delete(batchId);
    if (hasNews) this.news(batchId);
  }
}
