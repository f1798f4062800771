import { createHash } from 'node:crypto';
import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { type ConnectionOptions, Queue } from 'bullmq';
import { MetricsService } from '../telemetry/metrics.service.js';
import { type Hearing, Listener } from './listener.js';
import { problemOf } from './problem-of.js';
import type { QueueBackend } from './queue-backend.js';
import { type Bell, type MessageData, QUEUES, type QueueName } from './queues.js';

export const QUEUE_BACKEND = Symbol('QueueBackend');
/** Called when a listener is deaf for good: a function without arguments. */
export const ON_DEAF = Symbol('OnDeaf');

/** Nobody waits longer for the bell than this: the row is committed, and a sweeper rings again. */
const RING_TIMEOUT_MS = 250;
const CLOSE_TIMEOUT_MS = 1_000;

/** Rings the bell, and listens to it. */
@Injectable()
export class QueueService implements OnApplicationShutdown {
  private readonly logger = new Logger('Queue');
  /** Questions that the store has not answered in time. While there is one nothing more is asked: it would only pile up. */
  private unanswered = 0;
  private isAway = false;
  private readonly queues: ReadonlyMap<QueueName, Queue<MessageData>>;

  constructor(
    @Inject(QUEUE_BACKEND) private readonly backend: QueueBackend,
    @Inject(ON_DEAF) private readonly onDeaf: () => void,
    private readonly metrics: MetricsService,
  ) {
    this.queues = new Map(
      (Object.keys(QUEUES) as QueueName[]).map((name) => [
        name,
        this.open(name, backend.prefix, backend.connection),
      ]),
    );
  }

  /** As {@link ringGroups}, each bell by itself. */
  async ring(name: QueueName, bells: readonly Bell[]): Promise<boolean> {
    return this.ringGroups(
      name,
      bells.map((bell) => [bell]),
    );
  }

  /**
   * Sends a message for each group of bells, of which one worker then takes all. Best effort: answers false, and never throws, when the
   * store is away or slow; then some or none of the messages may have been sent.
   */
  async ringGroups(name: QueueName, groups: readonly (readonly Bell[])[]): Promise<boolean> {
    if (groups.length === 0) return true;
    const messages = groups.map((bells) => toMessage(name, bells));
    const problem = await this.ask(() => this.queue(name).addBulk(messages));
    // Many may find out at once; one says so.
    if (problem !== null && !this.isAway)
      this.logger.warn(`The bell of ${name} could not be rung: ${problem}`);
    this.isAway = problem !== null;
    return problem === null;
  }

  /** Resolves when the store can take a message; throws when it can't. A Redis that is full, or a replica, would still answer what is asked. */
  async ping(): Promise<void> {
    const problem = await this.ask(async () => {
      if (this.backend.kind === 'postgres') return this.queue('run-job').getJobCountByTypes('waiting');
      const client = await this.queue('run-job').getBackend().client;
      return client.set(`${this.backend.prefix}:ping`, 1, { EX: 60 });
    });
    if (problem !== null) throw new Error(problem);
  }

  /** Who hears this queue in this process; to be started when the whole application is up. */
  listen(name: QueueName, hearing: Hearing): Listener {
    return new Listener(name, hearing, {
      backend: this.backend,
      waiting: () => this.waiting(name),
      onRebuilt: () => this.metrics.listenersRebuilt.inc({ queue: name }),
      onDeaf: this.onDeaf,
    });
  }

  async onApplicationShutdown(): Promise<void> {
    // A store that is away can't be said goodbye to.
    const close = async (queue: Queue) => {
      if ((await problemOf(queue.close(), CLOSE_TIMEOUT_MS)) !== null)
        await problemOf(queue.disconnect(), CLOSE_TIMEOUT_MS);
    };
    await Promise.all([...this.queues.values()].map(close));
  }

  /** How many messages wait to be heard; null when the store does not answer. */
  private async waiting(name: QueueName): Promise<number | null> {
    let count = 0;
    const problem = await this.ask(async () => {
      count = await this.queue(name).getJobCountByTypes('waiting', 'prioritized');
    });
    return problem === null ? count : null;
  }

  /** Null when the store answered in time, else what came between. */
  private async ask(question: () => Promise<unknown>): Promise<string | null> {
    const problem = this.unanswered > 0 ? 'the store still owes an answer' : await this.answerTo(question());
    if (problem !== null) this.metrics.queueFailures.inc();
    return problem;
  }

  private async answerTo(answer: Promise<unknown>): Promise<string | null> {
    const problem = await problemOf(answer, RING_TIMEOUT_MS);
    if (problem !== null) {
      this.unanswered += 1;
      const settle = () => void (this.unanswered -= 1);
      answer.then(settle, settle);
    }
    return problem;
  }

  private open(name: QueueName, prefix: string, connection: ConnectionOptions): Queue<MessageData> {
    const queue = new Queue<MessageData>(name, {
      prefix,
      connection,
      skipWaitingForReady: true,
      // A failed message that stayed would make every later ringing of the same number a silent no-op.
      defaultJobOptions: { removeOnFail: true },
    });
    queue.on('error', (error) => this.logger.debug(`${name}: ${error.message}`));
    return queue;
  }

  private queue(name: QueueName): Queue<MessageData> {
    const queue = this.queues.get(name);
    if (!queue) throw new Error(`There is no queue ${name}`);
    return queue;
  }
}

function toMessage(name: QueueName, bells: readonly Bell[]) {
  const [first, ...rest] = bells;
  if (!first) throw new Error('A message needs a bell');
  const others = rest.map((bell) => bell.id);
  return {
    name,
    data: { id: first.id, ...(others.length > 0 ? { others } : {}) },
    opts: { jobId: nameOf(bells), ...(first.rank ? { priority: first.rank } : {}) },
  };
}

/** The same for the same bells: while such a message waits, another one is none. */
function nameOf(bells: readonly Bell[]): string {
  const names = bells.map((bell) => `${bell.id}-${bell.dispatchNo}`).join();
  return bells.length === 1 ? names : createHash('sha256').update(names).digest('base64url');
}
