import { BoundedMap } from './bounded-map.js';

const MOST_MODELS = 2_000;
/** More are not called at once: each of them makes room known again when it is done. */
const MOST_AT_ONCE = 50;

/** Where one who was turned away may wait for room. */
export interface WaitingPlace {
  readonly model: string;
  /** What {@link RoomBell.now} said before it asked for room. */
  readonly since: number;
}

/** A model, and how many more calls of it may be made as far as is known. */
export interface ModelRoom {
  readonly model: string;
  readonly room: number;
}

interface Parked {
  readonly model: string;
  /** How many are thought to wait; 0 only when nobody was found. */
  count: number;
  /** How often somebody began to wait here. */
  parkings: number;
  /** When somebody was last called here, and when last there was room and nobody to call, by the count of ringings. */
  rungAt: number;
  leftOverAt: number;
}

/** Calls so many of those who wait at a model, and answers how many came. */
export type RoomListener = (model: string, room: number) => Promise<number>;

/**
 * Knows at which models somebody waits for room, and calls them when there is some. How many wait is a guess, since those
 * who wait may come back by themselves; but it is not given up before a call has found nobody. Nobody is called only
 * because he waits: who is called in vain waits again, and would be called again, and so on for as long as it is full.
 */
export class RoomBell {
  private readonly parked = new BoundedMap<Parked>(MOST_MODELS, ({ count }) => count > 0);
  private listener: RoomListener = () => Promise.resolve(0);
  private ringings = 0;

  onRoom(listener: RoomListener): void {
    this.listener = listener;
  }

  /** This moment in the order of all ringings. */
  now(): number {
    return this.ringings;
  }

  /** One more waits there. He is called at once if room was made since he asked for it, and nobody was there to have it. */
  park({ model, since }: WaitingPlace): void {
    const parked = this.at(model);
    parked.count += 1;
    parked.parkings += 1;
    if (parked.leftOverAt <= since) return;
    parked.leftOverAt = 0;
    this.ring([{ model, room: 1 }], 1);
  }

  /** How many are thought to wait there. */
  waiting(model: string): number {
    return this.parked.peek(model)?.count ?? 0;
  }

  /** The models of a provider at which somebody waits. */
  waitedFor(provider: string): string[] {
    return [...this.parked.values()]
      .filter(({ model, count }) => count > 0 && model.startsWith(`${provider}/`))
      .map(({ model }) => model);
  }

  /** So many places came free, and any of these models may have them: the one that was called longest ago comes first. */
  ring(models: readonly ModelRoom[], places: number): void {
    this.ringings += 1;
    const asked = models.map(({ model, room }) => ({ parked: this.at(model), room }));
    void this.call(
      asked.toSorted((a, b) => a.parked.rungAt - b.parked.rungAt),
      places,
      this.ringings,
    );
  }

  private async call(
    asked: readonly { readonly parked: Parked; readonly room: number }[],
    places: number,
    at: number,
  ): Promise<void> {
    let left = places;
    for (const { parked, room } of asked) {
      const most = Math.min(left, room, MOST_AT_ONCE);
      if (most < 1) continue;
      // Nobody waits as a rule, and that is no reason to wait.
      const came = parked.count === 0 ? 0 : await this.callAt(parked, most, at);
      parked.leftOverAt = came < most ? at : 0;
      left -= came;
    }
  }

  private async callAt(parked: Parked, most: number, at: number): Promise<number> {
    if (parked.count === 0) return 0;
    parked.rungAt = at;
    const { parkings } = parked;
    const came = await this.listener(parked.model, most);
    const isEmpty = came < most && parked.parkings === parkings;
    parked.count = isEmpty ? 0 : Math.max(1, parked.count - came);
    // Who began to wait while the others were looked for may have been missed.
    if (came === 0 && !isEmpty) return this.callAt(parked, most, at);
    return came;
  }

  private at(model: string): Parked {
    return this.parked.use(model, () => ({ model, count: 0, parkings: 0, rungAt: 0, leftOverAt: 0 }));
  }
}
