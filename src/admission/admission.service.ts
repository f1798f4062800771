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
import { borneName, circuitsOf, keysOf, limitsOf, type Target, targetOf } from './call-target.js';
import { CircuitBoard, type Pass } from './circuit-board.js';
import type { CircuitId } from './circuit-id.js';
import { CircuitSync } from './circuit-sync.js';
import { KeyRing } from './key-ring.js';
import { tokensToTake, tokensUsed } from './call-tokens.js';
import type { Granted, NamedLimits } from './limiter.js';
import { RecentAnswers } from './recent-answers.js';
import { capRefusal, circuitRefusal, limitRefusal, type Refusal, soonest } from './refusal.js';
import type { RoomListener, WaitingPlace } from './room-bell.js';
import { SharedLimiter } from './shared-limiter.js';
import { WaitingRoom } from './waiting-room.js';

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
      readonly parkOn: WaitingPlace | null;
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
  private readonly room: WaitingRoom;
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
    this.room = new WaitingRoom(config, board, this.adaptive, limiter);
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
    const since = this.room.bell.now();
    const refusals: Refusal[] = [];
    const keyIds = keysOf(target.provider);
    for (const keyId of this.keys.order(ask.model, keyIds, ask.avoidKeyIds)) {
      const answer = await this.tryKey(ask, target, keyId);
      if ('ok' in answer) return answer;
      refusals.push(answer);
    }
    return this.refused({ model: ask.model, since }, target, refusals);
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
    this.room.freed(permit.ask.model, permit.keyId);
  }

  /** The call was not made: everything goes back. Never throws; a second time does nothing. */
  cancel(permit: Permit): void {
    if (!this.held.delete(permit)) return;
    this.release(permit, null);
    if (permit.granted) void this.limiter.giveBack(permit.granted, null);
    this.room.freed(permit.ask.model, permit.keyId);
  }

  /** Who calls those that were refused with this `parkOn` when `room` of them may come, and answers how many came. */
  onRoom(listener: RoomListener): void {
    this.room.bell.onRoom(listener);
  }

  /** One that was refused waits there now, and can be called. */
  park(parkOn: WaitingPlace): void {
    this.room.bell.park(parkOn);
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

  private refused(place: WaitingPlace, target: Target, refusals: readonly Refusal[]): Admission {
    const refusal = soonest(refusals);
    if (!refusal) throw new Error(`${target.provider.name} has neither keys nor none`);
    const { class: why, message, retryAfterMs, isRung } = refusal;
    this.metrics.refusals.inc({ provider: target.provider.name, class: why });
    return { ok: false, class: why, message, retryAfterMs, parkOn: isRung ? place : null };
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
    if (result === null || result.ok) return result !== null;
    if (result.class !== 'timeout' && result.class !== 'connect_failed') return true;
    return ask.timeoutMs >= (this.answers.meanMsOf(ask.model, this.board.nowMs()) ?? 0);
  }

  private learn({ ask, sinceMs }: Permit, result: CallResult | null): void {
    if (result?.ok) this.answers.note(ask.model, performance.now() - sinceMs, this.board.nowMs());
    else if (result && verdictOf(result, MODEL_RULES) === 'failure') {
      this.answers.note(ask.model, null, this.board.nowMs());
    }
  }

  private line(model: string): { waiting: number; meanMs: number | null } {
    return {
      waiting: this.room.bell.waiting(model),
      meanMs: this.answers.meanMsOf(model, this.board.nowMs()),
    };
  }

  private renew(): void {
    for (const { granted, passes, ask } of this.held) {
      if (granted) void this.limiter.renew(granted);
      for (const pass of passes) if (pass.isProbe) void this.sync.renewProbe(pass, ask.attemptId);
    }
  }
}
