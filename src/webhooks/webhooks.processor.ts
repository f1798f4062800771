import { setMaxListeners } from 'node:events';
import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Inject, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Job } from 'bullmq';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { packageFacts } from '../config/package-facts.js';
import type { EgressResult } from '../egress/exchange.js';
import { EgressService } from '../egress/egress.service.js';
import { QueueService } from '../queue/queue.service.js';
import type { MessageData } from '../queue/queues.js';
import { WORKER_OPTIONS } from '../queue/worker-options.js';
import { toPublicId } from '../storage/ids.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { ClaimedDelivery } from './delivery.js';
import { toBody } from './event.js';
import { Lanes } from './lanes.js';
import { toStoredText } from './response-text.js';
import { type AfterTry, afterTry, readRetryAfterMs } from './schedule.js';
import { sign } from './sign.js';
import { LANE_WIDTH, WebhooksRepository } from './webhooks.repository.js';
import { WebhooksService } from './webhooks.service.js';

/** For the whole try, from the look-up of the name to the last byte of the answer. */
const TRY_TIMEOUT_MS = 15_000;
const READ_BYTES = 64 * 1024;
/** Tries wait for others most of the time, so many fit; more than a few lanes full of receivers that hang. */
const CONCURRENCY = 100;

/** One delivery's try from top to bottom: claim, sign, call, write down. */
@Processor('deliver-webhook', WORKER_OPTIONS)
export class WebhooksProcessor extends WorkerHost implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Webhooks');
  private readonly lanes = new Lanes(LANE_WIDTH);
  private readonly userAgent = `Baton-Webhooks/${packageFacts().version}`;
  private readonly stopping = new AbortController();
  private readonly underWay = new Set<Promise<void>>();

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly repository: WebhooksRepository,
    private readonly webhooks: WebhooksService,
    private readonly egress: EgressService,
    private readonly queue: QueueService,
    private readonly metrics: MetricsService,
  ) {
    super();
    // Each call that is under way listens.
    setMaxListeners(CONCURRENCY, this.stopping.signal);
  }

  override async process({ data }: Job<MessageData>): Promise<void> {
    const work = this.handle(data.id);
    this.underWay.add(work);
    try {
      await work;
    } finally {
      this.underWay.delete(work);
    }
  }

  onApplicationBootstrap(): void {
    this.worker.concurrency = CONCURRENCY;
    this.worker.run().catch((error: unknown) => this.logger.error(`The worker ended: ${String(error)}`));
  }

  @OnWorkerEvent('error')
  onError(error: Error): void {
    this.logger.warn(`The queue deliver-webhook: ${error.message}`);
  }

  /** An outage or a defect; the lease runs out and the delivery is due again. */
  @OnWorkerEvent('failed')
  onFailed(message: Job<MessageData> | undefined, error: Error): void {
    const id = message ? toPublicId('whd', message.data.id) : 'unknown';
    this.logger.error(`Delivery ${id} could not be tried: ${error.message}`, error.stack);
  }

  /** Gives the tries that are under way the grace, then cuts them off and makes them due again. */
  async onModuleDestroy(): Promise<void> {
    const timer = setTimeout(() => this.stopping.abort(), this.config.shutdownGraceMs);
    await this.queue.closeWorker(this.worker, Promise.allSettled(this.underWay));
    clearTimeout(timer);
  }

  private async handle(deliveryId: string): Promise<void> {
    const delivery = await this.repository.claim(deliveryId);
    if (!delivery) return;
    if (!this.lanes.enter(delivery.lane)) return this.repository.putBack(delivery);
    try {
      await this.deliver(delivery);
    } finally {
      this.lanes.leave(delivery.lane);
      // Those who were turned away are not rung again by themselves: who makes room does it.
      await this.webhooks.ring(await this.repository.ringNext(delivery.lane));
    }
  }

  private async deliver(delivery: ClaimedDelivery): Promise<void> {
    const secrets = [await this.webhooks.defaultSecret(delivery.projectId)];
    const begun = await this.repository.beginTry(delivery);
    if (!begun) return;

    const body = toBody(delivery.event);
    const startedAtMs = begun.startedAt.getTime();
    const signed = sign(toPublicId('evt', delivery.event.id), Math.floor(startedAtMs / 1000), body, secrets);
    const result = await this.egress.send({
      policy: 'webhook',
      method: 'POST',
      url: delivery.url,
      headers: { 'content-type': 'application/json', 'user-agent': this.userAgent, ...signed },
      body,
      timeoutMs: TRY_TIMEOUT_MS,
      signal: this.stopping.signal,
      maxResponseBytes: READ_BYTES,
      whenTooLarge: 'truncate',
    });

    const after = decide(result, begun.index, startedAtMs);
    const ended = {
      index: begun.index,
      durationMs: Math.round(result.durationMs),
      httpStatus: result.ok ? result.status : null,
      error: after.type === 'succeeded' ? null : describe(result),
      responseText: result.ok ? toStoredText(result.body) : null,
    };
    await this.repository.finishTry(delivery, ended, after);
    this.metrics.webhookTries.inc({ outcome: after.type === 'succeeded' ? 'succeeded' : 'failed' });
    if (after.type === 'failed') {
      this.logger.warn(
        `Delivery ${toPublicId('whd', delivery.id)} is given up (${after.reason}): ${ended.error}`,
      );
    }
  }
}

function decide(result: EgressResult, tryIndex: number, startedAtMs: number): AfterTry {
  // Our own doing: the receiver is not to blame, and gets its try from the next worker.
  if (!result.ok && result.kind === 'aborted') return { type: 'again', delayMs: 0 };
  const asked = result.ok ? result.headers['retry-after'] : undefined;
  const outcome = {
    httpStatus: result.ok ? result.status : null,
    retryAfterMs: readRetryAfterMs(asked, startedAtMs + result.durationMs),
    mayRetry: result.ok || result.kind !== 'bad_url',
  };
  return afterTry(tryIndex, outcome, Math.random());
}

/** What went wrong, as it is shown to the user. */
function describe(result: EgressResult): string {
  if (!result.ok && result.kind === 'aborted') return 'interrupted';
  if (!result.ok) return `${result.kind}: ${result.message}`;
  if (result.status >= 300 && result.status < 400)
    return `The receiver answered ${result.status}; redirects are not followed`;
  return `The receiver answered ${result.status}`;
}
