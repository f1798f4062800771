import { BoundedMap } from './bounded-map.js';

const MOST_MODELS = 2_000;

interface Parked {
  readonly model: string;
  count: number;
}

/**
 * Knows how many were sent away for want of room at each model, and tells when there is some. A count is a guess: those
 * who were sent away may come back by themselves, or never.
 */
export class RoomBell {
  private readonly parked = new BoundedMap<Parked>(MOST_MODELS, ({ count }) => count > 0);
  private readonly listeners: ((model: string, room: number) => void)[] = [];

  onRoom(listener: (model: string, room: number) => void): void {
    this.listeners.push(listener);
  }

  /** One more waits for the model. */
  park(model: string): void {
    this.parked.use(model, () => ({ model, count: 0 })).count += 1;
  }

  /** How many wait for it. */
  waiting(model: string): number {
    return this.parked.peek(model)?.count ?? 0;
  }

  /** One has found room: perhaps one of those who waited. */
  unpark(model: string): void {
    const parked = this.parked.peek(model);
    if (parked) parked.count = Math.max(0, parked.count - 1);
  }

  /** The models of a provider that somebody waits for. */
  waitedFor(provider: string): string[] {
    return [...this.parked.values()]
      .filter(({ model, count }) => count > 0 && model.startsWith(`${provider}/`))
      .map(({ model }) => model);
  }

  /** Tells that so many more calls may be made of the model; whoever was told of is no longer counted. */
  ring(model: string, room: number): void {
    const parked = this.parked.peek(model);
    const told = Math.min(room, parked?.count ?? 0);
    if (!parked || told <= 0) return;
    parked.count -= told;
    for (const listener of this.listeners) listener(model, told);
  }
}
