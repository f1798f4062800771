import { BoundedMap } from './bounded-map.js';

const MOST_MODELS = 2_000;
/** More are not called at once: each of them makes room known again when it is done. */
const MOST_AT_ONCE = 50;

interface Parked {
  readonly model: string;
  /** How many are thought to wait; 0 only when nobody was found. */
  count: number;
  /** How often somebody began to wait here. */
  parkings: number;
}

/** Calls so many of those who wait at a model, and answers how many came. */
export type RoomListener = (model: string, room: number) => Promise<number>;

/**
 * Knows at which models somebody waits for room, and calls them when there is some. How many wait is a guess, since those
 * who wait may come back by themselves; but it is not given up before a call has found nobody.
 */
export class RoomBell {
  private readonly parked = new BoundedMap<Parked>(MOST_MODELS, ({ count }) => count > 0);
  private listener: RoomListener = () => Promise.resolve(0);

  onRoom(listener: RoomListener): void {
    this.listener = listener;
  }

  /** One more waits at the model. */
  park(model: string): void {
    const parked = this.parked.use(model, () => ({ model, count: 0, parkings: 0 }));
    parked.count += 1;
    parked.parkings += 1;
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

  /** So many more calls may be made of the model. */
  ring(model: string, room: number): void {
    const parked = this.parked.peek(model);
    if (!parked || parked.count === 0 || room < 1) return;
    const asked = Math.min(room, MOST_AT_ONCE);
    const { parkings } = parked;
    void this.listener(model, asked).then((came) => {
      const isEmpty = came < asked && parked.parkings === parkings;
      parked.count = isEmpty ? 0 : Math.max(1, parked.count - came);
    });
  }
}
