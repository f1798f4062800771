import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { RENEW_EVERY_MS } from '../storage/lease.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { Lease } from './attempts.repository.js';
import { JobRunsRepository } from './job-runs.repository.js';

const LOOK_EVERY_MS = 20;

/** Why a run was stopped from outside. */
export type StopReason = 'cancelled' | 'lease_lost' | 'stopping';

/** A lease in this process's hands; `signal` aborts when the run must stop, and `stopReason` says why. */
export interface HeldLease extends Lease {
  readonly signal: AbortSignal;
  readonly stopReason: StopReason | null;
}

class Held implements HeldLease {
  readonly controller = new AbortController();
  stopReason: StopReason | null = null;

  constructor(
    readonly jobId: string,
    readonly token: number,
  ) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  stop(reason: StopReason): void {
    this.stopReason ??= reason;
    this.controller.abort();
  }
}

/** Renews the leases of all runs of this process in one statement, and stops the runs whose lease is lost. */
@Injectable()
export class LeaseKeeper implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Leases');
  private readonly held = new Map<string, Held>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly runs: JobRunsRepository,
    private readonly metrics: MetricsService,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.renew(), RENEW_EVERY_MS);
  }

  /** Not before: the runs that use their grace need their leases. */
  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  hold(lease: Lease): HeldLease {
    // Taken from this very process and claimed by it again: the older run must not go on unseen.
    this.held.get(lease.jobId)?.stop('lease_lost');
    const held = new Held(lease.jobId, lease.token);
    this.held.set(lease.jobId, held);
    return held;
  }

  letGo(lease: HeldLease): void {
    if (this.held.get(lease.jobId) === lease) this.held.delete(lease.jobId);
  }

  /** Resolves when no run holds a lease here, or the time is up. */
  async allLetGo(timeoutMs: number): Promise<void> {
    const endsMs = performance.now() + timeoutMs;
    while (this.held.size > 0 && performance.now() < endsMs) await sleep(LOOK_EVERY_MS);
  }

  /** Stops the run of this job, if it is here. */
  stop(jobId: string, reason: StopReason): void {
    this.held.get(jobId)?.stop(reason);
  }

  stopAll(reason: StopReason): void {
    for (const held of this.held.values()) held.stop(reason);
  }

  private async renew(): Promise<void> {
    const leases = [...this.held.values()];
    if (leases.length === 0) return;
    try {
      const kept = await this.runs.renew(leases);
      for (const lease of leases) {
        if (kept.has(lease.jobId) || this.held.get(lease.jobId) !== lease) continue;
        this.metrics.leasesLost.inc();
        lease.stop('lease_lost');
      }
    } catch (error) {
      // The runs go on: their results are fenced by the token, and the database may be back before the lease ends.
      this.logger.warn(`The leases of ${leases.length} jobs could not be renewed: ${String(error)}`);
    }
  }
}
