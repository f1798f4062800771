/**
 * Admission: whether a call may be made now, and with which key: the config's limits, circuits, resting keys, and what
 * each model has been found to bear. It must never make a call or decide what a refused job does next.
 */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import type { BegunCall } from '../routing/adaptive-limit.js';
import type { CallResult } from '../routing/call-result.js';
import { MODEL_RULES, verdictOf } from '../routing/circuit-rules.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { AdaptiveLimits } from './adaptive-limits.js';
import { circuitsOf, keysOf, limitsOf, type Target, targetOf } from './call-target.js';
import { CircuitBoard, type CircuitChange, type CircuitId, type Pass } from './circuit-board.js';
import { CircuitSync } from './circuit-sync.js';
import { KeyRing } from './key-ring.js';
import { tokensToTake, tokensUsed } from './call-tokens.js';
import type { Granted, NamedLimits } from './limiter.js';
import { RecentAnswers } from './recent-answers.js';
import { capRefusal, circuitRefusal, limitRefusal, type Refusal, soonest } from './refusal.js';
import { RoomBell, type RoomListener } from './room-bell.js';
import { SharedLimiter } from './shared-limiter.js';

/** One call that somebody wants to make. */
export interface Ask {
  /** `provider/model`. */
  readonly model: string;
  /** How many tokens it is estimated to use, both ways. */
  readonly tokens: number;
  /** Keys that failed this job in this round. */
  readonly avoidKeyIds: readonly string[];
  /** Unlike any other call's. */
  readonly attemptId: string;
  /** The hard wall of the call. */
  readonly timeoutMs: number;
}

export type Admission =
  | { readonly ok: true; readonly keyId: string | null; readonly permit: Permit }
  | {
      readonly ok: false;
      readonly class: 'circuit_open' | 'locally_limited';
      /** A sentence for people: who, why, until when. */
      readonly message: string;
      readonly retryAfterMs: number;
      /** Where to wait for room, see {@link AdmissionService.park}; null where the time alone says when to come back. */
      readonly parkOn: string | null;
    };

/** What was taken for one call. Whoever has one gives it to `settle` or `cancel`. */
export interface Permit {
  readonly ask: Ask;
  readonly keyId: string | null;
  /** When it was given, on the monotonic clock. */
  readonly sinceMs: number;
  /** Its stay at circuits; none where the provider has none. */
  readonly passes: readonly Pass[];
  /** Its place among the calls that the model bears; null where that is not looked at. */
  readonly begun: BegunCall | null;
  /** Its place in the config's limits; null where there are none. */
  readonly granted: Granted | null;
}

/** A dead worker's concurrent calls stand in the way for so long. */
const HOLD_MS = 15_000;
const RENEW_MS = 5_000;
/** How long a process believes that another one probes before it asks again. */
const PROBED_ELSEWHERE_MS = 1_000;

@Injectable()
export class AdmissionService implements OnApplicationShutdown {
  private readonly adaptive = new AdaptiveLimits();
  private readonly keys = new KeyRing();
  private readonly bell = new RoomBell();
  private readonly held = new Set<Permit>();
  private readonly renewing: NodeJS.Timeout;

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly board: CircuitBoard,
    private readonly sync: CircuitSync,
    private readonly answers: RecentAnswers,
    private readonly limiter: SharedLimiter,
    private readonly metrics: MetricsService,
  ) {
    board.onChange((change) => this.onCircuitChange(change));
    this.renewing = setInterval(() => this.renew(), RENEW_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.renewing);
  }

  /**
   * Takes what one call needs, with the first key that has it all; or nothing. Waits for Redis where the config has
   * limits, or to take a probe. Of a model that is not there it says yes: the call itself tells what is wrong.
   */
  async admit(ask: Ask): Promise<Admission> {
    const target = targetOf(this.config, ask.model);
    if (target === null) {
      const sinceMs = performance.now();
      return this.admitted({ ask, keyId: null, sinceMs, passes: [], begun: null, granted: null });
    }
    const refusals: Refusal[] = [];
    const keyIds = keysOf(target.provider);
    for (const keyId of this.keys.order(ask.model, keyIds, ask.avoidKeyIds)) {
      const answer = await this.tryKey(ask, target, keyId);
      if ('ok' in answer) return answer;
      refusals.push(answer);
    }
    return this.refused(ask, target, refusals);
  }

  /**
   * The call is over: gives back what it held, and learns from it. `result` is null if it was made and we stopped it
   * ourselves, which says nothing of the model. Never throws; a second time does nothing.
   */
  settle(permit: Permit, result: CallResult | null): void {
    if (!this.held.delete(permit)) return;
    const told = this.isTelling(permit, result) ? result : null;
    this.release(permit, told);
    if (permit.granted)
      void this.limiter.giveBack(permit.granted, tokensUsed(permit.granted.demand.tokens, result));
    this.learn(permit, told);
    this.ringFor(permit.ask.model);
  }

  /** The call was not made: everything goes back. Never throws; a second time does nothing. */
  cancel(permit: Permit): void {
    if (!this.held.delete(permit)) return;
    this.release(permit, null);
    if (permit.granted) void this.limiter.giveBack(permit.granted, null);
    this.ringFor(permit.ask.model);
  }

  /** Who calls those that were refused with this `parkOn` when `room` of them may come, and answers how many came. */
  onRoom(listener: RoomListener): void {
    this.bell.onRoom(listener);
  }

  /** One that was refused waits there now, and can be called; there may be room already. */
  park(parkOn: string): void {
    this.bell.park(parkOn);
    this.bell.ring(parkOn, this.roomAt(parkOn));
  }

  /** How long it takes to get a good answer of the model of late, in milliseconds; null if too little is known. */
  latencyMsOf(model: string): number | null {
    return this.answers.latencyMsOf(model, this.board.nowMs());
  }

  /** How many calls at once the model is known to bear with the key; null for any number. */
  borneAtOnce(model: string, keyId: string | null): number | null {
    const cap = this.adaptive.cap(borneName(model, keyId));
    return cap === Infinity ? null : cap;
  }

  /** How many more calls may be made of a model now, with all its keys; Infinity for any number; one where nothing but the config's limits is in the way. */
  private roomAt(model: string): number {
    const target = targetOf(this.config, model);
    if (target === null) return 0;
    const rooms = keysOf(target.provider).map((keyId) => {
      const circuits = circuitsOf(target, keyId);
      if (circuits.length === 0) return Infinity;
      const borne = this.adaptive.room(borneName(model, keyId));
      return Math.min(borne, ...circuits.map((id) => this.board.room(id)));
    });
    const isLimited = keysOf(target.provider).some(
      (keyId) => limitsOf(this.config, target, keyId).length > 0,
    );
    const room = rooms.reduce((sum, each) => sum + each, 0);
    return isLimited ? Math.min(1, room) : room;
  }

  private async tryKey(ask: Ask, target: Target, keyId: string | null): Promise<Admission | Refusal> {
    const circuits = circuitsOf(target, keyId);
    const early = this.shut(ask, circuits, keyId);
    if (early) return early;
    this.keys.use(ask.model, keyId);
    const limits = limitsOf(this.config, target, keyId);
    const granted = limits.length === 0 ? null : await this.takeLimits(ask, limits);
    if (granted !== null && 'class' in granted) return granted;
    // Others may have come while this one waited for its limits. From here to `enter` nobody comes between.
    const late = granted && this.shut(ask, circuits, keyId);
    if (late) {
      void this.limiter.giveBack(granted, null);
      return late;
    }
    const begun = circuits.length === 0 ? null : this.adaptive.begin(borneName(ask.model, keyId));
    const passes = circuits.map((id) => this.board.enter(id));
    const permit = { ask, keyId, sinceMs: performance.now(), passes, begun, granted };
    const taken = await this.probedElsewhere(permit);
    if (taken === null) return this.admitted(permit);
    this.release(permit, null);
    if (granted) void this.limiter.giveBack(granted, null);
    this.board.markProbed(taken, this.board.nowMs() + PROBED_ELSEWHERE_MS);
    return circuitRefusal(this.board.view(taken), this.board.nowMs(), this.line(ask.model));
  }

  /** Takes the probes that this call would be; gives the circuit that another process probes, if there is one. */
  private async probedElsewhere({ passes, ask }: Permit): Promise<CircuitId | null> {
    for (const { id, term, isProbe } of passes) {
      const isOurs = !isProbe || (await this.sync.takeProbe(id, term, ask.attemptId, ask.timeoutMs));
      if (!isOurs) return id;
    }
    return null;
  }

  /** Why no call may go through now, as far as this process knows by itself; null if one may. */
  private shut(ask: Ask, circuits: readonly CircuitId[], keyId: string | null): Refusal | null {
    const shut = circuits.find((id) => this.board.room(id) < 1);
    if (shut) return circuitRefusal(this.board.view(shut), this.board.nowMs(), this.line(ask.model));
    const name = borneName(ask.model, keyId);
    if (circuits.length === 0 || this.adaptive.room(name) >= 1) return null;
    return capRefusal(ask.model, keyId, this.adaptive.cap(name), this.line(ask.model));
  }

  private async takeLimits(ask: Ask, limits: readonly NamedLimits[]): Promise<Granted | Refusal> {
    const tokens = tokensToTake(ask.tokens, limits);
    const taken = await this.limiter.take({ id: ask.attemptId, tokens, limits, holdMs: HOLD_MS });
    if (taken.ok) return taken;
    return limitRefusal(taken, limits.find(({ name }) => name === taken.limit)?.limits[taken.kind]);
  }

  private admitted(permit: Permit): Extract<Admission, { ok: true }> {
    this.held.add(permit);
    return { ok: true, keyId: permit.keyId, permit };
  }

  private refused(ask: Ask, target: Target, refusals: readonly Refusal[]): Admission {
    const refusal = soonest(refusals);
    if (!refusal) throw new Error(`${target.provider.name} has neither keys nor none`);
    const { class: why, message, retryAfterMs, isRung } = refusal;
    this.metrics.refusals.inc({ provider: target.provider.name, class: why });
    return { ok: false, class: why, message, retryAfterMs, parkOn: isRung ? ask.model : null };
  }

  private release({ ask, keyId, passes, begun }: Permit, result: CallResult | null): void {
    for (const pass of passes) {
      const hasTold = this.board.leave(pass, result);
      if (pass.isProbe && !hasTold) void this.sync.releaseProbe(pass.id, pass.term, ask.attemptId);
    }
    const isRefused =
      result && !result.ok && (result.class === 'rate_limited' || result.class === 'overloaded');
    if (begun) this.adaptive.end(borneName(ask.model, keyId), begun, isRefused);
  }

  /** False for what says nothing of the model: a call that we stopped, or gave less time than good answers take. */
  private isTelling({ ask }: Permit, result: CallResult | null): boolean {
    if (result === null || result.ok || result.class !== 'timeout') return result !== null;
    return ask.timeoutMs >= (this.answers.meanMsOf(ask.model, this.board.nowMs()) ?? 0);
  }

  private learn({ ask, sinceMs }: Permit, result: CallResult | null): void {
    if (result?.ok) this.answers.note(ask.model, performance.now() - sinceMs, this.board.nowMs());
    else if (result && verdictOf(result, MODEL_RULES) === 'failure') {
      this.answers.note(ask.model, null, this.board.nowMs());
    }
  }

  private onCircuitChange({ after }: CircuitChange): void {
    const { provider, model } = after.id;
    if (after.state !== 'closed') return;
    for (const each of model === null ? this.bell.waitedFor(provider) : [`${provider}/${model}`]) {
      this.bell.ring(each, this.roomAt(each));
    }
  }

  /** A call of this model has ended: there may be room for those who wait for it, or for another model with its key. */
  private ringFor(model: string): void {
    const target = targetOf(this.config, model);
    if (target === null) return;
    for (const each of this.bell.waitedFor(target.provider.name)) this.bell.ring(each, this.roomAt(each));
  }

  private line(model: string): { waiting: number; meanMs: number | null } {
    return { waiting: this.bell.waiting(model), meanMs: this.answers.meanMsOf(model, this.board.nowMs()) };
  }

  private renew(): void {
    for (const { granted, passes, ask } of this.held) {
      if (granted) void this.limiter.renew(granted);
      for (const pass of passes) if (pass.isProbe) void this.sync.renewProbe(pass, ask.attemptId);
    }
  }
}

function borneName(model: string, keyId: string | null): string {
  return `${keyId ?? ''} ${model}`;
}
