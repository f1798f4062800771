/** What was made once, by key, for as long as it is among the last used. */
export class BoundedCache<Value> {
  private readonly kept = new Map<string, Value>();

  constructor(private readonly mostEntries: number) {}

  /** The value of this key; made if it is not there. What `make` throws is thrown on, and nothing is kept. */
  get(key: string, make: () => Value): Value {
    const found = this.kept.get(key);
    const value = found ?? make();
    this.kept.delete(key); // Its place moves to the end: a Map gives its entries in the order in which they were set.
    this.kept.set(key, value);
    const oldest = this.kept.keys().next();
    if (this.kept.size > this.mostEntries && oldest.done !== true) this.kept.delete(oldest.value);
    return value;
  }

  delete(key: string): void {
    this.kept.delete(key);
  }
}
