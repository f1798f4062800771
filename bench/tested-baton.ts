/** A built Baton with a database of its own, and a look into that database. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client as PostgresClient } from 'pg';
import type { Arena } from './arena.js';
import { BatonProcess } from './baton-process.js';
import type { CleanUp } from './clean-up.js';

const LOOK_EVERY_MS = 20;
const MOST_SECONDS = 120;

export class TestedBaton {
  private constructor(
    readonly process: BatonProcess,
    readonly key: string,
    readonly database: PostgresClient,
  ) {}

  /** Starts it on a new database of this name; `cleanUp` stops it. */
  static async start(arena: Arena, name: string, cleanUp: CleanUp): Promise<TestedBaton> {
    const key = randomBytes(24).toString('hex');
    const databaseUrl = await arena.stores.createDatabase(name);
    const { redisUrl } = arena.stores;
    const folder = join(arena.folder, name);
    const baton = await BatonProcess.start({ ...arena, folder, databaseUrl, redisUrl, key });
    cleanUp.later(() => baton.stop());
    const database = new PostgresClient({ connectionString: databaseUrl });
    await database.connect();
    cleanUp.later(() => database.end());
    return new TestedBaton(baton, key, database);
  }

  get url(): string {
    return this.process.url;
  }

  /** Waits until the one row of a statement says that it `is` so. Throws if it does not come to it. */
  async until(statement: string, values: unknown[] = []): Promise<void> {
    const endMs = performance.now() + MOST_SECONDS * 1000;
    while (!(await this.row<{ is: boolean }>(statement, values)).is) {
      if (performance.now() > endMs) throw new Error(`Not so after ${MOST_SECONDS} s: ${statement}`);
      await delay(LOOK_EVERY_MS);
    }
  }

  /** The one row that a statement gives. Throws if it gives none. */
  async row<Row extends object>(statement: string, values: unknown[] = []): Promise<Row> {
    const { rows } = await this.database.query<Row>(statement, values);
    if (!rows[0]) throw new Error(`No row: ${statement}`);
    return rows[0];
  }
}
