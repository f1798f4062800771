import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { MOST_ROWS, type Step } from '../retention/remover.js';
import { DATABASE, type Database } from '../storage/database.js';

/** The place behind an event, in the order in which they were written. */
export interface EventPlace {
  /** As the database writes it: a Date would lose the microseconds by which events are told apart. */
  readonly createdAt: string;
  readonly id: string;
}

/** The SQL of removing events that belong to no job: of batches, of endpoints, samples. */
@Injectable()
export class EventRetentionRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /**
   * Removes, of a project's next events after a place, those that happened before a moment, with their deliveries and tries. One
   * with a delivery that is pending stays. Answers how many, and the next place; null when all were looked at.
   */
  async removeNext(projectId: string, after: EventPlace, before: Date): Promise<Step<EventPlace>> {
    const { rows } = await sql<{ looked: number; count: number; createdAt: string; id: string }>`
      with seen as materialized (
        select id, created_at from webhook_events where project_id = ${projectId} and job_id is null
          and created_at < ${before} and (created_at, id) > (${after.createdAt}::timestamptz, ${after.id}::uuid)
        order by created_at, id limit ${MOST_ROWS} for update skip locked
      ), held as materialized (
        select event_id from webhook_deliveries
        where event_id = any(array(select id from seen)) and status = 'pending'
      ), gone as (
        delete from webhook_events where id = any(array(
          select id from seen where id not in (select event_id from held))) returning id
      )
      select id, created_at::text as "createdAt", (select count(*)::int from seen) as looked,
        (select count(*)::int from gone) as count
      from seen order by seen.created_at desc, id desc limit 1`.execute(this.db);
    const [last] = rows;
    if (!last) return { count: 0, next: null };
    const { id, createdAt, looked, count } = last;
    return { count, next: looked < MOST_ROWS ? null : { id, createdAt } };
  }
}
