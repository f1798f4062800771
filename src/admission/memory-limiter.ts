/** Limits kept by one process for itself. The rules are those of `redis-limiter.ts`, and the same cases hold for both. */
import { BURST_MS, FIRST_HOLD_MS, HOLD_WEIGHT, LONGEST_LINE_MS, MINUTE_MS } from './limit-rules.js';
import type { Demand, Granted, LimitKind, Limiter, NamedLimits, Refused } from './limiter.js';

/** One limit, asked about one call. */
interface Check {
  readonly limit: string;
  readonly kind: LimitKind;
  readonly counter: Bucket | Slots;
  readonly cost: number;
}

export class MemoryLimiter implements Limiter {
  private readonly counters = new Map<string, readonly Omit<Check, 'cost'>[]>();

  /** `nowMs` never goes back. */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  take(demand: Demand): Promise<Granted | Refused> {
    const nowMs = this.nowMs();
    const [slowest] = this.checks(demand)
      .map((check) => ({ ...check, openFromMs: check.counter.openFromMs(nowMs) }))
      .filter(({ openFromMs }) => openFromMs > nowMs)
      .sort((a, b) => b.openFromMs - a.openFromMs);
    if (slowest === undefined) return Promise.resolve(this.put(demand));
    const { limit, kind, counter, cost } = slowest;
    const retryAfterMs = counter.lineUp(cost, nowMs);
    return Promise.resolve({ ok: false, limit, kind, retryAfterMs });
  }

  /** Takes, whether there is room or not: for a call that was granted elsewhere. */
  put(demand: Demand): Granted {
    const nowMs = this.nowMs();
    for (const { counter, cost } of this.checks(demand)) counter.take(cost, demand, nowMs);
    return { ok: true, demand, sinceMs: nowMs, isShared: false };
  }

  giveBack({ demand, sinceMs }: Granted, usedTokens: number | null): Promise<void> {
    const nowMs = this.nowMs();
    for (const { kind, counter, cost } of this.checks(demand)) {
      if (counter instanceof Slots) counter.free(demand.id, usedTokens === null ? null : nowMs - sinceMs);
      else if (usedTokens === null) counter.charge(-cost, nowMs);
      else if (kind === 'tpm') counter.charge(usedTokens - cost, nowMs);
    }
    return Promise.resolve();
  }

  renew({ demand }: Granted): Promise<void> {
    const nowMs = this.nowMs();
    for (const { counter } of this.checks(demand)) if (counter instanceof Slots) counter.hold(demand, nowMs);
    return Promise.resolve();
  }

  /** How many more calls at once may begin; Infinity where that is not limited. */
  roomFor(limits: readonly NamedLimits[]): number {
    const nowMs = this.nowMs();
    const counters = limits.flatMap((named) => this.countersOf(named).map(({ counter }) => counter));
    return Math.min(
      ...counters.map((counter) => (counter instanceof Slots ? counter.room(nowMs) : Infinity)),
    );
  }

  private checks(demand: Demand): Check[] {
    return demand.limits.flatMap((named) =>
      this.countersOf(named).map((each) => ({ ...each, cost: each.kind === 'tpm' ? demand.tokens : 1 })),
    );
  }

  private countersOf({ name, limits }: NamedLimits): readonly Omit<Check, 'cost'>[] {
    const known = this.counters.get(name);
    if (known !== undefined) return known;
    const made = (['rpm', 'tpm', 'concurrency'] as const).flatMap((kind) => {
      const most = limits[kind];
      if (most === undefined) return [];
      return [{ limit: name, kind, counter: kind === 'concurrency' ? new Slots(most) : new Bucket(most) }];
    });
    this.counters.set(name, made);
    return made;
  }
}

/**
 * So many units a minute, by the generic cell rate algorithm: one number says until when all that was used is paid for. Whoever
 * finds a unit left may use more than is left and so close the bucket for a while: if it had to find all it needs,
 * small calls would keep a large one out for ever.
 */
class Bucket {
  private paidUntilMs = -Infinity;
  private readonly line = new Line();
  private readonly unitMs: number;
  private readonly burstMs: number;

  constructor(perMinute: number) {
    this.unitMs = MINUTE_MS / perMinute;
    this.burstMs = Math.max(this.unitMs, BURST_MS);
  }

  /** From when on there is a unit left. */
  openFromMs(): number {
    return this.paidUntilMs + this.unitMs - this.burstMs;
  }

  take(units: number, _: Demand, nowMs: number): void {
    // Those in line would not have let the bucket fill.
    if (this.paidUntilMs - nowMs <= this.burstMs / 2 - this.unitMs) this.line.forget();
    this.paidUntilMs = Math.max(this.paidUntilMs, nowMs) + units * this.unitMs;
  }

  /** Corrects what was taken. */
  charge(units: number, nowMs: number): void {
    const fromMs = units > 0 ? Math.max(this.paidUntilMs, nowMs) : this.paidUntilMs;
    this.paidUntilMs = fromMs + units * this.unitMs;
  }

  lineUp(units: number, nowMs: number): number {
    return this.line.placeMs(this.openFromMs(), units * this.unitMs, nowMs);
  }
}

/** So many calls at the same time, each with a lease. */
class Slots {
  /** When each call's lease ends. */
  private readonly leases = new Map<string, number>();
  private readonly line = new Line();
  private meanHoldMs = FIRST_HOLD_MS;

  constructor(private readonly most: number) {}

  /** Now, or when a call may be expected to end. */
  openFromMs(nowMs: number): number {
    return this.room(nowMs) > 0 ? nowMs : nowMs + this.stepMs();
  }

  room(nowMs: number): number {
    for (const [id, untilMs] of this.leases) if (untilMs <= nowMs) this.leases.delete(id);
    return Math.max(0, this.most - this.leases.size);
  }

  take(_: number, demand: Demand, nowMs: number): void {
    // Those in line would not have let so many end.
    if (this.leases.size * 2 + 1 < this.most) this.line.forget();
    this.hold(demand, nowMs);
  }

  hold({ id, holdMs }: Demand, nowMs: number): void {
    this.leases.set(id, nowMs + holdMs);
  }

  /** `heldMs` is how long the call lasted; null if it was not made. */
  free(id: string, heldMs: number | null): void {
    if (this.leases.delete(id) && heldMs !== null) {
      this.meanHoldMs += HOLD_WEIGHT * (heldMs - this.meanHoldMs);
    }
  }

  lineUp(_: number, nowMs: number): number {
    return this.line.placeMs(nowMs + this.stepMs(), this.stepMs(), nowMs);
  }

  private stepMs(): number {
    return this.meanHoldMs / this.most;
  }
}

/** Those who were refused, thought to stand in line: each is told a place behind the last one, so that they don't come back all at once. */
class Line {
  private endsMs = -Infinity;

  forget(): void {
    this.endsMs = -Infinity;
  }

  /** How long until the next one's turn, who will use up `stepMs`; the first one's is at `firstMs`. */
  placeMs(firstMs: number, stepMs: number, nowMs: number): number {
    const behindMs = Math.max(firstMs, this.endsMs);
    const placeMs = behindMs - firstMs > LONGEST_LINE_MS ? firstMs : behindMs;
    this.endsMs = placeMs + stepMs;
    return Math.max(1, Math.ceil(placeMs - nowMs));
  }
}
