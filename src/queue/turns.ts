/** Lets a few at once do what is heavy; others wait for their turn, in the order in which they came. */
export class Turns {
  private running = 0;
  private readonly line: (() => void)[] = [];

  constructor(
    private readonly mostAtOnce: number,
    private readonly mostWaiting: number,
  ) {}

  /** Whether one more would have to wait where nobody may wait any more. */
  get isFull(): boolean {
    return this.running >= this.mostAtOnce && this.line.length >= this.mostWaiting;
  }

  /** What `work` gives or throws, once its turn has come. */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.running < this.mostAtOnce) this.running += 1;
    else await new Promise<void>((resolve) => this.line.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.line.shift();
      // The place goes straight to the next one: nobody who comes now gets in between.
      if (next) next();
      else this.running -= 1;
    }
  }
}
