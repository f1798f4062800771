import type { AppConfig } from '../config/config.js';
import type { AdaptiveLimits } from './adaptive-limits.js';
import { borneName, circuitsOf, keysOf, limitsOf, type Target, targetOf } from './call-target.js';
import type { CircuitBoard } from './circuit-board.js';
import type { CircuitChange } from './circuit-view.js';
import type { SharedLimiter } from './shared-limiter.js';
import { type ModelRoom, RoomBell } from './room-bell.js';

/**
 * Those who were turned away and wait for room. When a call ends, as many are called as it made places, because each who
 * is called in vain leaves an attempt in the record of a job.
 */
export class WaitingRoom {
  readonly bell = new RoomBell();

  constructor(
    private readonly config: AppConfig,
    private readonly board: CircuitBoard,
    private readonly adaptive: AdaptiveLimits,
    private readonly limiter: SharedLimiter,
  ) {
    board.onChange((change) => this.onCircuitChange(change));
  }

  /** A call of this model with this key has ended or was not made: there may be room for those who wait for it, or for another model with its key. */
  freed(model: string, keyId: string | null): void {
    const target = targetOf(this.config, model);
    if (target === null) return;
    const { provider } = target;
    const circuits = circuitsOf(target, keyId);
    const isCounted = limitsOf(this.config, target, keyId).some(({ limits }) => limits.concurrency);
    if (circuits.length === 0 && !isCounted) return;
    const [ofKey] = circuits;
    const isKeyLimited =
      provider.limits?.concurrency !== undefined || (ofKey && this.board.room(ofKey) !== Infinity);
    const others = isKeyLimited ? this.bell.waitedFor(provider.name).filter((each) => each !== model) : [];
    const rooms = [model, ...others].map((each) => ({ model: each, room: this.roomAt(each) }));
    this.bell.ring(rooms, isCounted ? this.placesOfLimit(target) : placesOf(rooms));
  }

  /** How many more calls may be made of a model now with all its keys, as far as this process knows; Infinity for any number. */
  private roomAt(model: string): number {
    const target = targetOf(this.config, model);
    if (target === null) return 0;
    const rooms = keysOf(target.provider).map((keyId) =>
      Math.min(this.softRoom(target, keyId), this.limiter.roomAtMost(limitsOf(this.config, target, keyId))),
    );
    return rooms.reduce((sum, each) => sum + each, 0);
  }

  /** What circuits, and what the model bears, leave. */
  private softRoom(target: Target, keyId: string | null): number {
    const circuits = circuitsOf(target, keyId);
    if (circuits.length === 0) return Infinity;
    const borne = this.adaptive.room(borneName(target.model, keyId));
    return Math.min(borne, ...circuits.map((id) => this.board.room(id)));
  }

  /** One call that ended leaves one place in a limit of the config; two may come while a circuit lets in ever more. */
  private placesOfLimit(target: Target): number {
    const isGrowing = keysOf(target.provider).some((keyId) => this.softRoom(target, keyId) !== Infinity);
    return isGrowing ? MOST_FOR_ONE : 1;
  }

  private onCircuitChange({ after }: CircuitChange): void {
    const { provider, model } = after.id;
    if (after.state !== 'closed') return;
    for (const each of model === null ? this.bell.waitedFor(provider) : [`${provider}/${model}`]) {
      const room = this.roomAt(each);
      this.bell.ring([{ model: each, room }], room);
    }
  }
}

/** More than one, so that what grows is filled; not all there is room for, because some may have been called and be on their way. */
const MOST_FOR_ONE = 2;

function placesOf(rooms: readonly ModelRoom[]): number {
  return rooms.every(({ room }) => room === Infinity) ? Infinity : MOST_FOR_ONE;
}
