import {
  type AdaptiveLimit,
  began,
  type BegunCall,
  capOf,
  createAdaptiveLimit,
  ended,
} from '../routing/adaptive-limit.js';
import { BoundedMap } from './bounded-map.js';

const MOST_LIMITS = 2_000;

/** How many calls at once each model bears with each key, as this process has found out. Names are the caller's choice. */
export class AdaptiveLimits {
  private readonly limits = new BoundedMap<AdaptiveLimit>(MOST_LIMITS, ({ inFlight }) => inFlight > 0);

  /** `nowMs` never goes back. */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** How many calls may be in flight; Infinity while nothing was refused. */
  cap(name: string): number {
    const limit = this.limits.peek(name);
    return limit ? capOf(limit, this.nowMs()) : Infinity;
  }

  /** How many more calls may begin. */
  room(name: string): number {
    return Math.max(0, this.cap(name) - (this.limits.peek(name)?.inFlight ?? 0));
  }

  begin(name: string): BegunCall {
    return began(this.limits.use(name, createAdaptiveLimit), this.nowMs());
  }

  /** `isRefused`: the provider refused the call for load; null if the call says nothing of it. */
  end(name: string, call: BegunCall, isRefused: boolean | null): void {
    const limit = this.limits.peek(name);
    if (limit) ended(limit, call, isRefused, this.nowMs());
  }
}
