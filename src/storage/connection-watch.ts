import pg from 'pg';

/** A statement that is not answered within this time is looked after; the three together are the longest that anybody waits in vain. */
const SUSPECT_AFTER_MS = 4_000;
const LOOK_EVERY_MS = 1_000;
const PROBE_TIMEOUT_MS = 2_000;
/** A pooler between us and the server hides who does what there: then the time alone tells. */
const LONGEST_UNSEEN_MS = 60_000;

/** A connection to the server; `processID` is what the server calls it. */
type Watched = pg.Client & { readonly processID?: number | null };

/**
 * Finds connections that carry nothing any more although nobody closed them: a network that was cut, a server that was moved. The
 * system would notice after a quarter of an hour. Statements may take long, so the server itself is asked, on a new connection,
 * whether it is still at it.
 */
export class ConnectionWatch {
  private static readonly watches = new Map<string, ConnectionWatch>();
  /** Since when each connection that owes an answer has owed it. */
  private readonly busy = new Map<Watched, number>();
  private timer: NodeJS.Timeout | undefined;
  private isLooking = false;

  private constructor(private readonly connectionString: string) {}

  /** The one of this process for all connections to this server. */
  static of(connectionString: string): ConnectionWatch {
    let watch = ConnectionWatch.watches.get(connectionString);
    if (!watch)
      ConnectionWatch.watches.set(connectionString, (watch = new ConnectionWatch(connectionString)));
    return watch;
  }

  /** Says that a statement was sent, after an answer perhaps. */
  isBusy(client: Watched): void {
    this.busy.set(client, performance.now());
    this.timer ??= setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  /** Says that all is answered. */
  isIdle(client: Watched): void {
    this.busy.delete(client);
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    const nowMs = performance.now();
    const suspects = [...this.busy].filter(([, sinceMs]) => nowMs - sinceMs > SUSPECT_AFTER_MS);
    if (this.busy.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    if (suspects.length === 0) return;
    this.isLooking = true;
    try {
      const states = await this.probe(suspects.map(([client]) => client.processID ?? 0));
      for (const [client, sinceMs] of suspects) {
        // Answered, or asked something else, while the probe was under way.
        if (this.busy.get(client) !== sinceMs) continue;
        const state = states?.get(client.processID ?? 0);
        const isUnseen = states !== null && state === undefined;
        if (state === 'active' || (isUnseen && nowMs - sinceMs < LONGEST_UNSEEN_MS)) continue;
        this.cut(client);
      }
    } finally {
      this.isLooking = false;
    }
  }

  /** What the server says that these processes of its do; null if it can't be reached. */
  private async probe(pids: readonly number[]): Promise<Map<number, string> | null> {
    const client = new pg.Client({
      connectionString: this.connectionString,
      connectionTimeoutMillis: PROBE_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
      application_name: 'baton-probe',
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ pid: number; state: string | null }>(
        'select pid, state from pg_stat_activity where pid = any($1::int[])',
        [pids],
      );
      return new Map(rows.map(({ pid, state }) => [pid, state ?? '']));
    } catch {
      return null;
    } finally {
      void client.end().catch(() => undefined);
    }
  }

  /** Whoever waits for it is told that the connection broke, and may try again on another one. */
  private cut(client: Watched): void {
    this.busy.delete(client);
    const { stream } = (client as unknown as { connection: { stream: { destroy(error: Error): void } } })
      .connection;
    const why = new Error('The server does not answer, and is not at work on it');
    // As the system would say in the end: an outage, and no defect.
    stream.destroy(Object.assign(why, { code: 'ETIMEDOUT' }));
  }
}
