import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { MOST_ROWS } from '../retention/remover.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { isThere } from '../storage/is-there.js';

/** The key of a request that may come twice, and a digest of what it asks. */
export interface IdempotencyKey {
  /** `POST /v1/jobs`: the same key may stand for something else at another door. */
  readonly route: string;
  readonly key: string;
  readonly digest: Buffer;
}

/** What an idempotency key stands for. */
export interface KnownKey {
  /** The uuid of what was made. */
  readonly resourceId: string;
  readonly digest: Buffer;
}

/** The place behind a key, in the order of their ages. */
export interface KeyPlace {
  /** As the database writes it: a Date would lose the microseconds by which keys are told apart. */
  readonly createdAt: string;
  readonly key: string;
}

/** A key is kept this long, or for as long as the job or batch that it made is unfinished. */
const KEPT_HOURS = 24;
/** Whether the key `k` has done its service. */
const WORN_OUT = sql`(k.created_at < now() - make_interval(hours => ${KEPT_HOURS})
  and not ${isThere(sql`from jobs j where j.id = k.resource_id and j.finished_at is null`)}
  and not ${isThere(sql`from batches b where b.id = k.resource_id
    and b.status in ('validating', 'in_progress', 'finalizing', 'cancelling')`)})`;

/** The SQL of keys. */
@Injectable()
export class IdempotencyRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** What the key stands for; undefined if it is new, or so old that it is new again. */
  async find(projectId: string, key: IdempotencyKey): Promise<KnownKey | undefined> {
    const { rows } = await sql<KnownKey>`
      select resource_id as "resourceId", digest from idempotency_keys k
      where k.project_id = ${projectId} and k.route = ${key.route} and k.key = ${key.key} and not ${WORN_OUT}`.execute(
      this.db,
    );
    return rows[0];
  }

  /**
   * Does the work in one transaction with the keeping of its key, or answers what the key stands for. Waits for another
   * request with the same key, for at most 2 s: then it throws Postgres' 55P03.
   */
  async once<Made>(
    projectId: string,
    key: IdempotencyKey,
    resourceId: string,
    work: (trx: DatabaseOrTransaction) => Promise<Made>,
  ): Promise<{ readonly made: Made } | { readonly known: KnownKey }> {
    return this.db.transaction().execute(async (trx) => {
      await sql`set local lock_timeout = '2s'`.execute(trx);
      const known = await this.keep(trx, projectId, key, resourceId);
      return known ? { known } : { made: await work(trx) };
    });
  }

  /** Removes those of the next keys after a place that are worn out; answers how many, and the next place, null when all were looked at. */
  async removeNext(after: KeyPlace): Promise<{ count: number; next: KeyPlace | null }> {
    const { rows } = await sql<KeyPlace & { looked: number; count: number }>`
      with seen as materialized (
        select ctid, created_at, key from idempotency_keys
        where created_at < now() - make_interval(hours => ${KEPT_HOURS})
          and (created_at, key) > (${after.createdAt}::timestamptz, ${after.key}::text)
        order by created_at, key limit ${MOST_ROWS} for update skip locked
      ), gone as (
        delete from idempotency_keys k where k.ctid = any(array(select ctid from seen)) and ${WORN_OUT} returning 1
      )
      select created_at::text as "createdAt", key, (select count(*)::int from seen) as looked,
        (select count(*)::int from gone) as count
      from seen order by seen.created_at desc, key desc limit 1`.execute(this.db);
    const [last] = rows;
    if (!last) return { count: 0, next: null };
    const { createdAt, key, looked, count } = last;
    return { count, next: looked < MOST_ROWS ? null : { createdAt, key } };
  }

  /** Null if the key is new, and stands for this resource now; else what it stands for. */
  private async keep(
    trx: DatabaseOrTransaction,
    projectId: string,
    { route, key, digest }: IdempotencyKey,
    resourceId: string,
  ): Promise<KnownKey | null> {
    await sql`delete from idempotency_keys k
      where k.project_id = ${projectId} and k.route = ${route} and k.key = ${key} and ${WORN_OUT}`.execute(
      trx,
    );
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('idempotency_keys')
      .values({ project_id: projectId, route, key, digest, resource_id: resourceId })
      .onConflict((conflict) => conflict.columns(['project_id', 'route', 'key']).doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows) return null;
    return trx
      .selectFrom('idempotency_keys')
      .where('project_id', '=', projectId)
      .where('route', '=', route)
      .where('key', '=', key)
      .select(['resource_id as resourceId', 'digest'])
      .executeTakeFirstOrThrow();
  }
}
