import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { Bell } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { newUuid } from '../storage/ids.js';
import { type Column, tableOf } from '../storage/table-of.js';
import { LANE_WIDTH, SWITCHED_OFF } from './delivery-steps.repository.js';
import { laneOf, type NewEvent } from './event.js';

const EVENT_COLUMNS = {
  id: ['uuid', () => newUuid()],
  project_id: ['uuid', (event) => event.projectId],
  type: ['text', (event) => event.type],
  job_id: ['uuid', (event) => event.jobId],
  batch_id: ['uuid', (event) => event.batchId],
  data: ['text', (event) => JSON.stringify(event.data)],
  url: ['text', (event) => event.url],
  lane: ['text', ({ projectId, url }) => url && laneOf(projectId, url)],
  is_watched: ['boolean', (event) => event.isWatched],
} satisfies Record<string, Column<NewEvent>>;

/** The SQL of writing down what happened and whom to tell of it. */
@Injectable()
export class EventsRepository {
  /**
   * Writes each event that somebody wants to hear of, and a delivery for each who does: the URL that the job or batch names,
   * and every endpoint of the project that is registered for its type. To an endpoint that is switched off nothing is sent:
   * its delivery has failed from the start, and can be sent later. Gives the bells that the caller rings after the commit: a
   * lane's width of each lane, since more would be turned away; the others are rung as those make room. One statement,
   * however many there are.
   */
  async insert(trx: DatabaseOrTransaction, events: readonly NewEvent[]): Promise<Bell[]> {
    const wanted = events.filter(({ url, isWatched }) => url !== null || isWatched);
    if (wanted.length === 0) return [];
    const { rows } = await sql<{ id: string; isRung: boolean }>`
      with happened as (
        select * from ${tableOf('t', wanted, EVENT_COLUMNS)}
      ), receivers as (
        select id as event_id, type, project_id, job_id, batch_id, null::uuid as endpoint_id, url, lane, false as is_off
        from happened where url is not null
        union all
        select h.id, h.type, h.project_id, h.job_id, h.batch_id, e.id, e.url, e.id::text, e.disabled_at is not null
        from happened h join webhook_endpoints e on e.project_id = h.project_id and e.deleted_at is null
          and h.type = any(e.event_types)
        where h.is_watched
      ), told as (
        insert into webhook_events (id, project_id, type, job_id, batch_id, data)
        select id, project_id, type, job_id, batch_id, data from happened
        where exists (select from receivers where receivers.event_id = happened.id)
      )
      insert into webhook_deliveries (id, project_id, event_id, event_type, job_id, batch_id, endpoint_id, url, lane, status,
        last_error, finished_at, rung_at)
      select gen_random_uuid(), project_id, event_id, type, job_id, batch_id, endpoint_id, url, lane,
        case when is_off then 'failed' else 'pending' end, case when is_off then ${SWITCHED_OFF} end,
        case when is_off then now() end,
        case when not is_off and row_number() over (partition by lane) <= ${LANE_WIDTH} then now() end
      from receivers
      returning id, rung_at is not null as "isRung"`.execute(trx);
    return rows.filter((row) => row.isRung).map(({ id }) => ({ id, dispatchNo: 1 }));
  }
}
