/**
 * Webhooks: tells a caller's server what happened, signed, until it is heard (Standard Webhooks). Events are written in
 * the transaction in which they happen; nothing is sent that is not written down first, and no prompt or answer is sent.
 */
import { Injectable, Logger } from '@nestjs/common';
import { EgressService } from '../egress/egress.service.js';
import { ApiError } from '../http/api-error.js';
import { QueueService } from '../queue/queue.service.js';
import type { Bell } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { toPublicId } from '../storage/ids.js';
import { SecretSeal } from '../storage/seal.js';
import type { DeliveryRecord } from './delivery.js';
import type { NewEvent } from './event.js';
import { newSecret } from './sign.js';
import { WebhooksRepository } from './webhooks.repository.js';

/** What other rooms ask of this one. */
@Injectable()
export class WebhooksService {
  private readonly logger = new Logger('Webhooks');

  constructor(
    private readonly repository: WebhooksRepository,
    private readonly queue: QueueService,
    private readonly egress: EgressService,
    private readonly seal: SecretSeal,
  ) {}

  /**
   * Writes events and whom to tell, inside the transaction in which they happen. Only events with a URL are kept. Give
   * the bells to {@link ring} after the commit.
   */
  async recordEvents(trx: DatabaseOrTransaction, events: readonly NewEvent[]): Promise<Bell[]> {
    return this.repository.insertEvents(trx, events);
  }

  /**
   * Has deliveries tried now. Best effort, and never throws: what can not be rung is found by a sweep, within a second if
   * only the queue is away.
   */
  async ring(bells: readonly Bell[]): Promise<void> {
    if (await this.queue.ring('deliver-webhook', bells)) return;
    await this.repository.forgetBells(bells).catch((error: unknown) => {
      this.logger.warn(
        `${bells.length} webhook deliveries wait for their bell to count as lost: ${String(error)}`,
      );
    });
  }

  /**
   * The secret that signs what goes to a job's own `webhook_url`: `whsec_…`, made when it is first asked for; the same for
   * all who ask at once. Throws if the project does not exist or the secret does not open (see {@link SecretSeal.open}).
   */
  async defaultSecret(projectId: string): Promise<string> {
    const aad = `projects|${projectId}`;
    const sealed =
      (await this.repository.defaultSecret(projectId)) ??
      (await this.repository.keepDefaultSecret(projectId, this.seal.seal(newSecret(), aad)));
    return this.seal.open(sealed, aad);
  }

  /** Throws `url_not_allowed` if webhooks must not go to this URL. */
  async checkUrl(url: string): Promise<void> {
    const refusal = await this.egress.checkUrl(url);
    if (refusal === null) return;
    throw new ApiError('url_not_allowed', `webhook_url can not be used. ${refusal}`, {
      param: 'webhook_url',
    });
  }

  /** All deliveries of a job with their tries, oldest first. Throws `not_found` if the project has no such job. */
  async deliveriesOfJob(projectId: string, jobId: string): Promise<DeliveryRecord[]> {
    const deliveries = await this.repository.byJob(projectId, jobId);
    if (!deliveries)
      throw new ApiError('not_found', `There is no job ${toPublicId('job', jobId)}.`, { param: 'id' });
    return deliveries;
  }
}
