/** A built Baton with a database of its own, and a look into that database. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client as PostgresClient } from 'pg';
import type { Arena, QueueKind } from './arena.js';
import { BatonProcess } from './baton-process.js';
import type { CleanUp } from './clean-up.js';

export class TestedBaton {
  private constructor(
    readonly process: BatonProcess,
    readonly key: string,
    readonly database: PostgresClient,
  ) {}

  /** Starts it on a new database of this name; `cleanUp` stops it. */
  static async start(arena: Arena, name: string, kind: QueueKind, cleanUp: CleanUp): Promise<TestedBaton> {
    const key = randomBytes(24).toString('hex');
    const databaseUrl = await arena.stores.createDatabase(name);
    const redisUrl = kind === 'redis' ? arena.stores.redisUrl : null;
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

  /** The one row that a statement gives. Throws if it gives none. */
  async row<Row extends object>(statement: string, values: unknown[] = []): Promise<Row> {
    const { rows } = await this.database.query<Row>(statement, values);
    if (!rows[0]) throw new Error(`No row: ${statement}`);
    return rows[0];
  }
}
