import { sql } from 'kysely';
import type { DatabaseOrTransaction } from './database.js';

/**
 * Notes who the queue's store says it is; true if that is news to this room: then whatever the room has rung may be lost. To be
 * asked in the transaction in which it is rung again: of several processes that notice at once, one is told so.
 */
export async function isNewEpoch(
  trx: DatabaseOrTransaction,
  room: 'jobs' | 'webhooks',
  epoch: string,
): Promise<boolean> {
  const { rows } = await sql`
    insert into queue_epochs (room, epoch) values (${room}, ${epoch})
    on conflict (room) do update set epoch = excluded.epoch where queue_epochs.epoch <> excluded.epoch
    returning room`.execute(trx);
  return rows.length > 0;
}
