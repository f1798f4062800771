import pg from 'pg';

const LONGEST_RECONNECT_MS = 5_000;

/**
 * Hears what other processes say through the database (LISTEN/NOTIFY): words that make something happen sooner, never
 * words that anything depends on, because they are lost while the connection is. Reconnects for ever until it is closed.
 */
export class Notifications {
  private client: pg.Client | null = null;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private isClosed = false;

  constructor(
    private readonly connectionString: string,
    private readonly channel: string,
    private readonly onWord: (payload: string) => void,
    private readonly onError: (error: Error) => void,
  ) {}

  /** Begins to listen; resolves when the first connection stands or has failed (then it goes on trying). */
  async open(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.connectionString,
      application_name: 'baton-listen',
      keepAlive: true,
    });
    this.client = client;
    client.on('notification', (message) => this.onWord(message.payload ?? ''));
    client.on('error', this.onError);
    client.on('end', () => this.reopen(client));
    try {
      await client.connect();
      await client.query(`listen ${client.escapeIdentifier(this.channel)}`);
      this.failures = 0;
    } catch (error) {
      this.onError(error as Error);
      await client.end().catch(() => undefined);
      this.reopen(client);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.client?.end().catch(() => undefined);
  }

  private reopen(ended: pg.Client): void {
    if (this.isClosed || this.client !== ended) return;
    this.client = null;
    const delayMs = Math.min(100 * 2 ** this.failures++, LONGEST_RECONNECT_MS);
    this.timer = setTimeout(() => void this.open(), delayMs);
  }
}
