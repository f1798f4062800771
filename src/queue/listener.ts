import { Logger } from '@nestjs/common';
import { Worker, type WorkerOptions } from 'bullmq';
import type { QueueBackend } from './queue-backend.js';
import { problemOf } from './problem-of.js';
import type { MessageData, QueueName } from './queues.js';

/**
 * How everyone listens. BullMQ's own retries are off (a message is tried once): when and whether something is tried again is
 * decided from Postgres. A message lost to a crash is found stalled by BullMQ or rung again by a sweeper, whichever is first;
 * the claim in Postgres makes the second one harmless. Nor is a message thrown away because it was in the hands of two processes that
 * crashed: what it stands for may have had no part in that, and how often a job was running when its process crashed is counted there.
 */
const WORKER_OPTIONS = {
  autorun: false,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
  // What was in the hands of one that crashed is heard by another after 2 to 4 s.
  lockDuration: 3_000,
  stalledInterval: 1_000,
  maxStalledCount: 100,
} satisfies Partial<WorkerOptions>;

const CLOSE_TIMEOUT_MS = 1_000;

/** What a listener does with what it hears. */
export interface Hearing {
  /** How many messages are handled at once. */
  readonly concurrency: number;
  /** Handles one of the ids that a message holds. What it throws is logged, and is nobody's: the message is gone. */
  handle(id: string): Promise<void>;
}

/** What a listener must know of its queue. */
export interface Surroundings {
  readonly backend: QueueBackend;
  /** How many messages wait to be taken; null while the store does not answer. */
  waiting(): Promise<number | null>;
  /** Called each time that the listener was built anew. */
  onRebuilt(): void;
  /** Called when that did not help. */
  onDeaf(): void;
}

/** How long messages may wait unheard by a listener that has a free hand; and how often that is looked at. */
export interface Patience {
  readonly silenceMs: number;
  readonly lookEveryMs: number;
}

const PATIENCE: Patience = { silenceMs: 30_000, lookEveryMs: 5_000 };

/**
 * Hears the messages of one queue. Connections that look alive and carry nothing have been seen with every queue: a listener that
 * hears nothing although messages wait takes a new connection, and if that does not help, says that it is deaf.
 */
export class Listener {
  private readonly logger: Logger;
  private worker: Worker<MessageData>;
  private timer: NodeJS.Timeout | undefined;
  private readonly running = new Set<Promise<unknown>>();
  /** Since when messages have waited unheard; null while none do. */
  private unheardSinceMs: number | null = null;
  private isRebuilt = false;

  constructor(
    private readonly name: QueueName,
    private readonly hearing: Hearing,
    private readonly around: Surroundings,
    private readonly patience = PATIENCE,
  ) {
    this.logger = new Logger(`Queue ${name}`);
    this.worker = this.build();
  }

  /** Begins to listen. */
  start(): void {
    this.run();
    this.timer = setInterval(() => void this.look(), this.patience.lookEveryMs);
  }

  /**
   * Takes no new message, and resolves when `isDone` does: by default when those that are being handled are done. That is known
   * without the store, whose goodbye would last for ever while it is away. What was still held is found by a sweeper.
   */
  async close(isDone: Promise<unknown> = Promise.allSettled(this.running)): Promise<void> {
    clearInterval(this.timer);
    if ((await this.around.waiting()) === null) {
      await this.worker.pause(true);
      await isDone;
      await this.worker.close(true);
      return;
    }
    const goodbye = this.worker.close().catch(() => undefined);
    await Promise.race([goodbye, isDone.then(() => problemOf(goodbye, CLOSE_TIMEOUT_MS))]);
  }

  private build(): Worker<MessageData> {
    const { prefix, connection } = this.around.backend;
    const worker = new Worker<MessageData>(
      this.name,
      ({ data }) => this.hear([data.id, ...(data.others ?? [])]),
      {
        ...WORKER_OPTIONS,
        concurrency: this.hearing.concurrency,
        prefix,
        connection,
      },
    );
    worker.on('error', (error) => this.logger.warn(error.message));
    worker.on('failed', (_message, error) => this.logger.error(error, 'A message could not be handled'));
    return worker;
  }

  private run(): void {
    this.worker.run().catch((error: unknown) => this.logger.error(`The worker ended: ${String(error)}`));
  }

  private async hear(ids: readonly string[]): Promise<void> {
    this.unheardSinceMs = null;
    this.isRebuilt = false;
    const work = Promise.all(ids.map((id) => this.hearing.handle(id)));
    this.running.add(work);
    try {
      await work;
    } finally {
      this.running.delete(work);
    }
  }

  private async look(): Promise<void> {
    const isBusy = this.running.size >= this.hearing.concurrency;
    // A store that is away is silent for everybody; when it is back the connections come back by themselves.
    const waits = !isBusy && ((await this.around.waiting()) ?? 0) > 0;
    if (!waits) {
      this.unheardSinceMs = null;
      return;
    }
    this.unheardSinceMs ??= performance.now();
    if (performance.now() - this.unheardSinceMs < this.patience.silenceMs) return;
    this.unheardSinceMs = null;
    if (this.isRebuilt) {
      this.around.onDeaf();
      return;
    }
    this.rebuild();
  }

  private rebuild(): void {
    this.logger.warn('Messages wait and none is heard: listening on a new connection');
    this.isRebuilt = true;
    this.around.onRebuilt();
    // What it still handles goes on; only its connection is given up.
    void this.worker.close(true).catch(() => undefined);
    this.worker = this.build();
    this.run();
  }
}
