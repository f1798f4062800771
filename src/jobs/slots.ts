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

  /** A slot, to be given back by calling what this resolves to; null if none was free within this time. */
  async take(isLine: boolean, patienceMs: number): Promise<(() => void) | null> {
    if (this.isFree(isLine)) this.enter(isLine);
    else if (!(await this.turn(isLine, patienceMs))) return null;
    return () => this.leave(isLine);
  }

  private async turn(isLine: boolean, patienceMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter = {
        isLine,
        go: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      this.waiting.push(waiter);
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        resolve(false);
      }, patienceMs);
    });
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

/** Most messages in one's hands: of single jobs, and of lines, of which one message has more. */
const MOST_OF_JOBS = 16;
const MOST_OF_LINES = 10;

/**
 * How many messages a process with so many slots has in its hands at once: few, since what is in one's hands and finds no slot nobody
 * else can take; and enough that the next jobs are there when slots become free, and are taken together.
 */
export function messagesFor(slots: number): { jobs: number; lines: number } {
  const share = (part: number) => Math.max(2, Math.ceil(slots / part));
  return { jobs: Math.min(MOST_OF_JOBS, share(10)), lines: Math.min(MOST_OF_LINES, share(5)) };
}
