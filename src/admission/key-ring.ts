import { BoundedMap } from './bounded-map.js';

const MOST_MODELS = 2_000;

/**
 * In which order a provider's keys are asked for room: the one whose turn is longest ago first, for each model by itself.
 * So the keys that are ready share the calls evenly, and one that comes back from a rest gets no more than its share.
 */
export class KeyRing {
  private turns = 0;
  private readonly lastTurns = new BoundedMap<Map<string | null, number>>(MOST_MODELS);

  /** The keys in the order in which to ask them; those to avoid are last, for when no other one is ready. */
  order<Key extends string | null>(
    model: string,
    keyIds: readonly Key[],
    avoidKeyIds: readonly string[],
  ): Key[] {
    const lastTurns = this.lastTurns.peek(model);
    const isAvoided = (keyId: Key) => keyId !== null && avoidKeyIds.includes(keyId);
    const lastTurn = (keyId: Key) => lastTurns?.get(keyId) ?? 0;
    return keyIds.toSorted(
      (a, b) => Number(isAvoided(a)) - Number(isAvoided(b)) || lastTurn(a) - lastTurn(b),
    );
  }

  /** Notes that the key had its turn. */
  use(model: string, keyId: string | null): void {
    this.turns += 1;
    this.lastTurns.use(model, () => new Map()).set(keyId, this.turns);
  }
}
