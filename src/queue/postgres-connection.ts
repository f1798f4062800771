import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresConnection, runMigrations } from 'bullmq';
import { reconnectDelayMs } from './reconnect-delay.js';

/**
 * BullMQ's connection to PostgreSQL, but for one thing: BullMQ keeps the outcome of the first set-up, so one that a restart of the
 * database cuts off would fail everything that is asked later, without a pause in which the process could do anything else. This
 * one tries until it holds.
 */
export class EnduringConnection extends PostgresConnection {
  private ready: Promise<void> | undefined;

  constructor(connection: ConstructorParameters<typeof PostgresConnection>[0]) {
    super(connection);
    // The connection on which it listens BullMQ makes by itself, of pg's own class, and hears of its errors only once it is there: one
    // that is cut off in that very moment would end the process. So it is of the pool's class, which outlives that.
    if (typeof connection === 'object' && 'Client' in connection) {
      Object.assign(this, { pgModule: { Client: connection.Client } });
    }
  }

  /** Resolves when the messages' tables are there, or when the connection is closed. Never rejects. */
  override waitUntilReady(): Promise<void> {
    this.ready ??= this.setUp();
    return this.ready;
  }

  private async setUp(): Promise<void> {
    for (let failures = 0; !this.isClosing; failures += 1) {
      try {
        await this.migrate();
        setTimeout(() => this.emit('ready'), 0);
        return;
      } catch (error) {
        if (this.listenerCount('error') > 0) this.emit('error', error);
        await sleep(reconnectDelayMs(failures), undefined, { ref: false });
      }
    }
  }

  private async migrate(): Promise<void> {
    const client = await this.pool.connect();
    try {
      await runMigrations(client, this.schema);
    } finally {
      client.release();
    }
  }
}
