/** Those who wait for a connection of the pool, in the order in which they came. */
export class ConnectionLine {
  private readonly waitingSinceMs = new Map<number, number>();
  private count = 0;
  /** How many had been waiting or came, when a connection was given out last. */
  private servedAt = 0;
  private isLost = false;
  private heard: (seconds: number) => void = () => undefined;

  /** Is told how long each had waited who was given a connection, be it that one had to be made. */
  onServed(hear: (seconds: number) => void): void {
    this.heard = hear;
  }

  /** How long the first in line has been waiting, in milliseconds; 0 if nobody waits. */
  get longestWaitMs(): number {
    const [first] = this.waitingSinceMs.values();
    return first === undefined ? 0 : performance.now() - first;
  }

  /** Whether the last who left the line left without a connection, and nobody was given one since he came. */
  get isDatabaseAway(): boolean {
    return this.isLost;
  }

  /** Gives what `connect` gives; until then the caller stands in line, if all connections are taken. */
  async wait<Connection>(connect: () => Promise<Connection>, isInLine: boolean): Promise<Connection> {
    const place = ++this.count;
    const startMs = performance.now();
    if (isInLine) this.waitingSinceMs.set(place, startMs);
    try {
      const connection = await connect();
      this.isLost = false;
      this.servedAt = this.count;
      this.heard((performance.now() - startMs) / 1000);
      return connection;
    } catch (error) {
      // One whose time ran out in a long line is no sign of a database that is away.
      this.isLost = this.servedAt < place;
      throw error;
    } finally {
      this.waitingSinceMs.delete(place);
    }
  }
}
