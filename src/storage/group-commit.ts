import { setImmediate as endOfTurn } from 'node:timers/promises';
import { isDatabaseOutage } from './database-outage.js';

/**
 * How a group is written. `together` must wait for nobody's locks: it leaves out the items whose rows another transaction holds, and
 * those are written once more, `alone`, where waiting holds up nobody else.
 */
export type Company = 'together' | 'alone';

/**
 * Writes the items and answers for each in its place; null for one that it left out, or that can't be written any more. All of them or
 * none must be committed when it resolves; when it throws, none of them may count as written.
 */
export type WriteGroup<Item, Result> = (
  items: readonly Item[],
  company: Company,
) => Promise<readonly (Result | null)[]>;

/** Enough for the cost of a commit to be shared, and few enough that no statement takes long. */
const MOST_TOGETHER = 100;

/**
 * Who is left out waits for a lock on a connection of its own, and a renewal of leases may lock a hundred at once: only so many of them are
 * written at the same time, so that others find a connection.
 */
const MOST_ALONE = 4;

interface Place<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers what is to be written while the last write is under way, and writes it as one group: no timer, so who comes alone is written
 * at once. Each caller hears after the commit. An item that makes its group fail fails alone: then each is written by itself.
 */
export class GroupCommit<Item, Result> {
  private gathered: Place<Item, Result>[] = [];
  private isWriting = false;
  private readonly leftOut: Place<Item, Result>[] = [];
  private writingAlone = 0;

  /** Items for which `isLarge` holds are written alone, and hold up nobody. */
  constructor(
    private readonly write: WriteGroup<Item, Result>,
    private readonly isLarge: (item: Item) => boolean = () => false,
  ) {}

  /** What the write answers for this item; null only if it does so alone. Throws what it throws. */
  async put(item: Item): Promise<Result | null> {
    if (this.isLarge(item)) return this.alone(item);
    return new Promise((resolve, reject) => {
      this.gathered.push({ item, resolve, reject });
      if (!this.isWriting) void this.writeAll();
    });
  }

  /** Never throws. */
  private async writeAll(): Promise<void> {
    this.isWriting = true;
    do {
      // Who comes in the same turn of the loop is written together with the first.
      await endOfTurn();
      await this.writeGroup(this.gathered.splice(0, MOST_TOGETHER));
    } while (this.gathered.length > 0);
    this.isWriting = false;
  }

  private async writeGroup(group: readonly Place<Item, Result>[]): Promise<void> {
    const items = group.map((place) => place.item);
    try {
      const results = await this.write(items, 'together');
      for (const [i, place] of group.entries()) {
        const result = results[i] ?? null;
        if (result !== null) place.resolve(result);
        else {
          this.leftOut.push(place);
          void this.writeLeftOut();
        }
      }
    } catch (error) {
      if (group.length === 1 || isDatabaseOutage(error)) for (const place of group) place.reject(error);
      // One after the other: whatever it was that failed them, it must not come down on all connections at once.
      else for (const place of group) await this.writeAlone(place);
    }
  }

  private async writeLeftOut(): Promise<void> {
    if (this.writingAlone === MOST_ALONE) return;
    this.writingAlone += 1;
    for (let place = this.leftOut.shift(); place; place = this.leftOut.shift()) await this.writeAlone(place);
    this.writingAlone -= 1;
  }

  private async writeAlone({ item, resolve, reject }: Place<Item, Result>): Promise<void> {
    await this.alone(item).then(resolve, reject);
  }

  private async alone(item: Item): Promise<Result | null> {
    const [result] = await this.write([item], 'alone');
    return result ?? null;
  }
}
