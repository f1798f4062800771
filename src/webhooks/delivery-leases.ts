import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { RENEW_EVERY_MS } from '../storage/lease.js';
import type { ClaimedDelivery } from './delivery.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';

/** Renews the leases of all deliveries that this process is trying, in one statement. */
@Injectable()
export class DeliveryLeases implements OnApplicationShutdown {
  private readonly logger = new Logger('Webhooks');
  private readonly held = new Set<ClaimedDelivery>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly steps: DeliveryStepsRepository) {}

  /** Keeps the lease for as long as the work lasts. */
  async during<Result>(delivery: ClaimedDelivery, work: () => Promise<Result>): Promise<Result> {
    this.held.add(delivery);
    this.timer ??= setInterval(() => void this.renew(), RENEW_EVERY_MS);
    try {
      return await work();
    } finally {
      this.held.delete(delivery);
    }
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  private async renew(): Promise<void> {
    if (this.held.size === 0) return;
    try {
      await this.steps.renew([...this.held]);
    } catch (error) {
      // The tries go on: what they write is guarded by the token.
      this.logger.warn(`The leases of ${this.held.size} deliveries could not be renewed: ${String(error)}`);
    }
  }
}
