/**
 * Counts what a worker process has under way to each receiver, so that one that hangs can only hold up its own: whoever
 * finds a lane full is turned away instead of waiting in a slot.
 */
export class Lanes {
  private readonly running = new Map<string, number>();

  constructor(private readonly width: number) {}

  /** Takes a place; false if the lane is full. */
  enter(name: string): boolean {
    const running = this.running.get(name) ?? 0;
    if (running >= this.width) return false;
    this.running.set(name, running + 1);
    return true;
  }

  /** Frees a place. Throws if nobody was in. */
  leave(name: string): void {
    const running = this.running.get(name);
    if (running === undefined) throw new Error(`Nobody is in lane ${name}`);
    if (running === 1) this.running.delete(name);
    else this.running.set(name, running - 1);
  }
}
