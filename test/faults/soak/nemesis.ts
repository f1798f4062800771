/** Who does the harm: faults in an order and at distances that a seed decides. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Arena, type FaultKind, FAULTS } from './faults.js';
import type { Form } from './forms.js';

/** A fault that was done. */
export interface DoneFault {
  readonly kind: FaultKind;
  readonly atMs: number;
  /** When it was done; what it began may go on. */
  readonly endMs: number;
  readonly what: string;
}

export class Nemesis {
  readonly done: DoneFault[] = [];
  /** When the last fault was undone: the store back, a process ready in each place. */
  lastMs = 0;
  private readonly repairs = new Set<Promise<void>>();
  private readonly arena: Arena;
  private readonly failures: unknown[] = [];

  constructor(
    arena: Omit<Arena, 'later'>,
    private readonly form: Form,
  ) {
    this.arena = { ...arena, later: (repair) => this.keep(repair) };
  }

  /** How many faults of these kinds there were. */
  count(...kinds: FaultKind[]): number {
    return this.done.filter(({ kind }) => kinds.includes(kind)).length;
  }

  /** True when each fault has come as often as the form asks. */
  get isThrough(): boolean {
    return Object.entries(this.form.faults).every(([kind, times]) => this.count(kind as FaultKind) >= times);
  }

  /** Does faults until it is told to stop, deck by deck; then sees that all is repaired. Throws if something can't be. */
  async run(stop: AbortSignal): Promise<void> {
    const [least, most] = this.form.spacing;
    const { draw } = this.arena;
    for (let deck: FaultKind[] = []; ;) {
      if (deck.length === 0) deck = shuffled(deckOf(this.form), draw);
      await delay((least + draw() * (most - least)) * 1_000, undefined, { signal: stop }).catch(
        () => undefined,
      );
      if (stop.aborted) break;
      const kind = deck.pop();
      if (kind) await this.strike(kind);
    }
    while (this.repairs.size > 0) await Promise.all(this.repairs);
    if (this.failures.length > 0)
      throw new AggregateError(this.failures, 'A fault could not be done or undone.');
    await this.arena.fleet.allUp();
  }

  private async strike(kind: FaultKind): Promise<void> {
    const atMs = Date.now();
    const what = await FAULTS[kind](this.arena);
    const endMs = Date.now();
    this.done.push({ kind, atMs, endMs, what });
    this.lastMs = Math.max(this.lastMs, endMs);
  }

  private keep(repair: Promise<unknown>): void {
    const kept: Promise<void> = repair
      .then(
        () => undefined,
        (error: unknown) => void this.failures.push(error),
      )
      .finally(() => {
        this.repairs.delete(kept);
        this.lastMs = Date.now();
      });
    this.repairs.add(kept);
  }
}

function deckOf({ faults }: Form): FaultKind[] {
  return Object.entries(faults).flatMap(([kind, times]) => Array<FaultKind>(times).fill(kind as FaultKind));
}

/** Fisher and Yates' shuffle. */
function shuffled<T>(cards: T[], draw: () => number): T[] {
  for (let at = cards.length - 1; at > 0; at -= 1) {
    const other = Math.floor(draw() * (at + 1));
    [cards[at], cards[other]] = [cards[other] as T, cards[at] as T];
  }
  return cards;
}
