import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { DisabledReason } from '../storage/webhook-tables.js';
import { giveUpWaiting } from './delivery-steps.repository.js';

/** An endpoint to which nothing but failure has gone for so long is disabled. */
const FAILING_TOO_LONG = sql.raw(`interval '5 days'`);
/** Failures that are further apart than any two tries of a delivery are each by themselves. */
const FAR_APART = sql.raw(`interval '30 hours'`);
/** A success is written down this often at most: a busy endpoint's row would be written with each delivery. */
const NOTE_EVERY = sql.raw(`interval '1 second'`);

/** An endpoint that has just been disabled. */
export interface DisabledEndpoint {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly url: string;
  readonly version: number;
}

/** The SQL of how endpoints fare. All times are the database's. */
@Injectable()
export class EndpointHealthRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Notes that a delivery arrived. */
  async succeeded(endpointId: string): Promise<void> {
    await sql`
      update webhook_endpoints set failing_since = null, last_success_at = now()
      where id = ${endpointId}
        and (failing_since is not null or last_success_at is null or last_success_at < now() - ${NOTE_EVERY})`.execute(
      this.db,
    );
  }

  /** Notes that one did not; answers whether it has been so for too long. */
  async failed(endpointId: string, error: string): Promise<boolean> {
    const { rows } = await sql<{ isTooLong: boolean }>`
      update webhook_endpoints set last_failure_at = now(), last_error = ${error},
        failing_since = case when last_failure_at < now() - ${FAR_APART} then now() else coalesce(failing_since, now()) end
      where id = ${endpointId}
      returning failing_since < now() - ${FAILING_TOO_LONG} as "isTooLong"`.execute(this.db);
    return rows[0]?.isTooLong ?? false;
  }

  /**
   * Disables an endpoint, gives up what waits for it, and does what belongs to the same moment. Nothing is done to one that is
   * switched off already.
   */
  async disable(
    endpointId: string,
    reason: DisabledReason,
    alsoWrite: (trx: DatabaseOrTransaction, endpoint: DisabledEndpoint) => Promise<void>,
  ): Promise<void> {
    await this.db.transaction().execute(async (trx) => {
      const { rows } = await sql<DisabledEndpoint>`
        update webhook_endpoints set disabled_at = now(), disabled_reason = ${reason}, updated_at = now(),
          version = version + 1
        where id = ${endpointId} and disabled_at is null and deleted_at is null
        returning id, project_id as "projectId", name, url, version`.execute(trx);
      if (!rows[0]) return;
      await giveUpWaiting(trx, endpointId);
      await alsoWrite(trx, rows[0]);
    });
  }
}
