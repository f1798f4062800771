/**
 * A map of a bounded size. Names of models come from callers, so nothing that is kept by model may grow with them: what was
 * not used for longest goes first, unless it is worth keeping.
 */
export class BoundedMap<Value> {
  private readonly entries = new Map<string, Value>();

  /** `isWorthKeeping`: such an entry goes only when all are such. */
  constructor(
    private readonly most: number,
    private readonly isWorthKeeping: (value: Value) => boolean = () => false,
  ) {}

  /** The entry if there is one; looking does not count as use. */
  peek(name: string): Value | undefined {
    return this.entries.get(name);
  }

  /** The entry, made if it is not there; it is now the one used last. */
  use(name: string, make: () => Value): Value {
    const value = this.entries.get(name) ?? make();
    this.entries.delete(name);
    this.entries.set(name, value);
    if (this.entries.size > this.most) this.dropOne();
    return value;
  }

  values(): IterableIterator<Value> {
    return this.entries.values();
  }

  private dropOne(): void {
    const [oldest] = this.entries.keys();
    // A few looks: an entry more or less worth keeping is not worth a walk through all on every use.
    let looks = LOOKS;
    for (const [name, value] of this.entries) {
      if (!this.isWorthKeeping(value)) return void this.entries.delete(name);
      looks -= 1;
      if (looks === 0) break;
    }
    if (oldest !== undefined) this.entries.delete(oldest);
  }
}

const LOOKS = 64;
