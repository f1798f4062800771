/** The limits of all processes together while Redis answers, of each process for itself while it does not. */
import { Injectable } from '@nestjs/common';
import { SoftStore } from '../queue/soft-store.js';
import type { Demand, Granted, Limiter, NamedLimits, Refused } from './limiter.js';
import { MemoryLimiter } from './memory-limiter.js';
import { RedisLimiter } from './redis-limiter.js';

@Injectable()
export class SharedLimiter implements Limiter {
  private readonly shared: RedisLimiter;
  /** Counts the process's own calls all the time, so that it knows them in the moment when Redis goes away. */
  private readonly own = new MemoryLimiter();

  constructor(store: SoftStore) {
    this.shared = new RedisLimiter(store);
  }

  async take(demand: Demand): Promise<Granted | Refused> {
    const taken = demand.limits.length === 0 ? null : await this.shared.take(demand);
    if (taken === null) return this.own.take(demand);
    if (taken.ok) this.own.put(demand);
    return taken;
  }

  /** How many more calls at once the limits may let in: as many, or fewer where other processes have some. */
  roomAtMost(limits: readonly NamedLimits[]): number {
    return this.own.roomFor(limits);
  }

  async giveBack(granted: Granted, usedTokens: number | null): Promise<void> {
    await this.own.giveBack(granted, usedTokens);
    if (granted.isShared) await this.shared.giveBack(granted, usedTokens);
  }

  async renew(granted: Granted): Promise<void> {
    await this.own.renew(granted);
    if (granted.isShared) await this.shared.renew(granted);
  }
}
