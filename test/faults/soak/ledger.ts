/** The database as the checks read it when nothing runs any more, and what breaks an invariant. */
import { Client } from 'pg';
import { toUuid } from '../../../src/storage/ids.js';
import type { AcceptedJob } from './singles.js';

export interface Violation {
  readonly invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'promise';
  readonly what: string;
  readonly count: number;
  /** The first of them. */
  readonly ids: readonly string[];
  /** Of the first jobs among them all that is written down. */
  readonly ledgers: readonly unknown[];
}

const UUID = /^[0-9a-f-]{36}$/;
const MOST_IDS = 20;
const MOST_LEDGERS = 3;

export class Ledger {
  private constructor(private readonly client: Client) {}

  static async open(url: string): Promise<Ledger> {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    return new Ledger(client);
  }

  async rows<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.client.query<Row>(sql, values)).rows;
  }

  /** The one row that it gives. Throws if it gives none. */
  async row<Row extends object>(sql: string): Promise<Row> {
    const [row] = await this.rows<Row>(sql);
    if (row) return row;
    throw new Error(`No row: ${sql}`);
  }

  /** Puts the jobs that clients hold a 202 for into the table `accepted` of this session. */
  async note(jobs: Iterable<AcceptedJob>): Promise<void> {
    const ids = [...jobs].map(({ id }) => toUuid('job', id));
    await this.rows('create temp table accepted (id uuid primary key)');
    await this.rows('insert into accepted select unnest($1::uuid[])', [ids]);
    await this.rows('analyze accepted');
  }

  /** What a list of broken things says; null if it is empty. `ids` are those of jobs, if they are anybody's. */
  async violation(
    invariant: Violation['invariant'],
    what: string,
    ids: readonly string[],
  ): Promise<Violation | null> {
    if (ids.length === 0) return null;
    const ledgers: unknown[] = [];
    for (const id of ids.slice(0, MOST_LEDGERS)) ledgers.push(await this.ledgerOf(id));
    return { invariant, what, count: ids.length, ids: ids.slice(0, MOST_IDS), ledgers };
  }

  /** All that is written down of a job, or of the batch of this id; what it is not is empty. */
  async ledgerOf(id: string): Promise<unknown> {
    if (!UUID.test(id)) return { id };
    const [jobs, attempts, deliveries, batches] = [
      await this.rows('select * from jobs where id = $1', [id]),
      await this.rows('select * from attempts where job_id = $1 order by index', [id]),
      await this.rows('select * from webhook_deliveries where job_id = $1', [id]),
      await this.rows('select * from batches where id = $1', [id]),
    ];
    return { jobs, attempts, deliveries, batches };
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}
