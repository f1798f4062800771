import { Injectable, Logger } from '@nestjs/common';
import { packageFacts } from '../config/package-facts.js';
import type { EgressResult } from '../egress/exchange.js';
import { EgressService } from '../egress/egress.service.js';
import { toPublicId } from '../storage/ids.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { BegunTry, ClaimedDelivery } from './delivery.js';
import { DeliveryLeases } from './delivery-leases.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import { EndpointHealth } from './endpoint-health.js';
import { toBody } from './event.js';
import { toStoredText } from './response-text.js';
import { type AfterTry, afterTry, readRetryAfterMs } from './schedule.js';
import { SecretsService } from './secrets.service.js';
import { sign } from './sign.js';

/** For the whole try, from the look-up of the name to the last byte of the answer. */
const TRY_TIMEOUT_MS = 15_000;
const READ_BYTES = 64 * 1024;
/** A certificate may name a hundred hosts. */
const LONGEST_ERROR = 1_024;

/** One try of a delivery, from the signature to what becomes of it. */
@Injectable()
export class DeliveryCaller {
  private readonly logger = new Logger('Webhooks');
  private readonly userAgent = `Baton-Webhooks/${packageFacts().version}`;

  constructor(
    private readonly steps: DeliveryStepsRepository,
    private readonly leases: DeliveryLeases,
    private readonly secrets: SecretsService,
    private readonly health: EndpointHealth,
    private readonly egress: EgressService,
    private readonly metrics: MetricsService,
  ) {}

  /**
   * Makes a claimed delivery's next try, writes down what became of it, and answers it; null if the lease was lost before. Throws
   * when a store is away: then the lease runs out.
   */
  deliver(delivery: ClaimedDelivery, signal: AbortSignal): Promise<EgressResult | null> {
    return this.leases.during(delivery, () => this.attempt(delivery, signal));
  }

  private async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<EgressResult | null> {
    const result =
      delivery.includeResult && delivery.jobId ? await this.steps.resultOf(delivery.jobId) : null;
    const body = toBody(delivery.event, result);
    const secrets = await this.secrets.signing(delivery);
    const begun = await this.steps.beginTry(delivery);
    if (!begun) return null;
    const answer = await this.call(delivery, begun, body, secrets, signal);
    const after = decide(answer, begun, delivery.isSample);
    const carriedResult = result?.type === 'inline';
    await this.steps.finishTry(delivery, { ...finished(answer, begun, after), carriedResult }, after);
    const isDelivered = after.type === 'succeeded';
    this.metrics.webhookTries.inc({ outcome: isDelivered ? 'succeeded' : 'failed' });
    if (after.type === 'failed') {
      const id = toPublicId('whd', delivery.id);
      this.logger.warn(`Delivery ${id} is given up (${after.reason}): ${describe(answer)}`);
    }
    if (!delivery.isSample) await this.note(delivery.endpointId, answer, isDelivered);
    return answer;
  }

  private async note(endpointId: string | null, answer: EgressResult, isDelivered: boolean): Promise<void> {
    if (endpointId === null || isOurDoing(answer)) return;
    if (isDelivered) await this.health.succeeded(endpointId);
    else await this.health.failed(endpointId, describe(answer), isGone(answer));
  }

  private call(
    { url, event }: ClaimedDelivery,
    { startedAt }: BegunTry,
    body: Buffer,
    secrets: readonly string[],
    signal: AbortSignal,
  ): Promise<EgressResult> {
    const atS = Math.floor(startedAt.getTime() / 1000);
    const signed = sign(toPublicId('evt', event.id), atS, body, secrets);
    return this.egress.send({
      policy: 'webhook',
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', 'user-agent': this.userAgent, ...signed },
      body,
      timeoutMs: TRY_TIMEOUT_MS,
      signal,
      maxResponseBytes: READ_BYTES,
      whenTooLarge: 'truncate',
    });
  }
}

function finished(answer: EgressResult, { index }: BegunTry, after: AfterTry) {
  return {
    index,
    durationMs: Math.round(answer.durationMs),
    httpStatus: answer.ok ? answer.status : null,
    error: after.type === 'succeeded' ? null : describe(answer),
    responseText: answer.ok ? toStoredText(answer.body) : null,
  };
}

function decide(answer: EgressResult, { place, startedAt }: BegunTry, isSample: boolean): AfterTry {
  // The receiver is not to blame, and gets its try from the next worker.
  if (isOurDoing(answer) && !isSample) return { type: 'again', delayMs: 0, isInterrupted: true };
  const asked = answer.ok ? answer.headers['retry-after'] : undefined;
  const outcome = {
    httpStatus: answer.ok ? answer.status : null,
    retryAfterMs: readRetryAfterMs(asked, startedAt.getTime() + answer.durationMs),
    mayRetry: answer.ok || answer.kind !== 'bad_url',
  };
  return afterTry(place, outcome, Math.random());
}

/** Whether it was this process that broke the call off. */
function isOurDoing(answer: EgressResult): boolean {
  return !answer.ok && answer.kind === 'aborted';
}

function isGone(answer: EgressResult): boolean {
  return answer.ok && answer.status === 410;
}

/** What went wrong, as it is shown to the user. */
function describe(answer: EgressResult): string {
  if (isOurDoing(answer)) return 'interrupted';
  if (!answer.ok) return `${answer.kind}: ${answer.message}`.slice(0, LONGEST_ERROR);
  if (answer.status >= 300 && answer.status < 400)
    return `The receiver answered ${answer.status}; redirects are not followed`;
  return `The receiver answered ${answer.status}`;
}
