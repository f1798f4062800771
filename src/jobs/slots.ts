/**
 * The slots of one worker process, in which jobs run. Lines of batches may take all but a tenth of them, so that a batch of
 * slow calls never holds up a single job until one of its calls ends. Who finds none waits in the order in which it came.
 */
export class Slots {
  private running = 0;
  private lines = 0;
  private readonly waiting: { readonly isLine: boolean; readonly go: () => void }[] = [];
  private readonly mostLines: number;

  constructor(private readonly count: number) {
    this.mostLines = linesAmong(count);
  }

  /** What `work` gives or throws, once there is a slot for it. */
  async take<Result>(isLine: boolean, work: () => Promise<Result>): Promise<Result> {
    if (this.isFree(isLine)) this.enter(isLine);
    else await new Promise<void>((go) => this.waiting.push({ isLine, go }));
    try {
      return await work();
    } finally {
      this.leave(isLine);
    }
  }

  private isFree(isLine: boolean): boolean {
    return this.running < this.count && (!isLine || this.lines < this.mostLines);
  }

  private enter(isLine: boolean): void {
    this.running += 1;
    if (isLine) this.lines += 1;
  }

  private leave(isLine: boolean): void {
    this.running -= 1;
    if (isLine) this.lines -= 1;
    const next = this.waiting.findIndex((each) => this.isFree(each.isLine));
    const [called] = next < 0 ? [] : this.waiting.splice(next, 1);
    if (!called) return;
    // The place is taken at once: nobody who comes now gets in between.
    this.enter(called.isLine);
    called.go();
  }
}

/** How many of so many slots lines may take; at least one. */
export function linesAmong(slots: number): number {
  return Math.max(1, slots - Math.ceil(slots / 10));
}
