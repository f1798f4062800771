/** I6: each end of a job that has a webhook was told, and nothing else was. */
import { toPublicId } from '../../../src/storage/ids.js';
import type { Ledger, Violation } from './ledger.js';
import type { SoakUpstream } from './upstream.js';

export interface ToldFigures {
  readonly events: number;
  /** Requests that the receiver got. */
  readonly deliveries: number;
  /** Those beyond one for each event. */
  readonly repeated: number;
  /** The most that one event was told. */
  readonly mostOfOne: number;
}

export async function checkTold(
  ledger: Ledger,
  upstream: SoakUpstream,
): Promise<{ figures: ToldFigures; violations: Array<Violation | null> }> {
  const events = await ledger.rows<{ id: string; job: string }>(
    'select id, job_id as job from webhook_events where job_id is not null',
  );
  const { hooks } = upstream;
  const ids = new Set(events.map(({ id }) => toPublicId('evt', id)));
  const untold = events.filter(({ id }) => !hooks.has(toPublicId('evt', id))).map(({ job }) => job);
  const open = await ledger.rows<{ job: string }>(
    `select job_id as job from webhook_deliveries where status <> 'succeeded'`,
  );
  const times = [...hooks.values()];
  const deliveries = times.reduce((sum, each) => sum + each, 0);
  return {
    figures: {
      events: events.length,
      deliveries,
      repeated: deliveries - hooks.size,
      mostOfOne: times.reduce((most, each) => Math.max(most, each), 0),
    },
    violations: [
      await ledger.violation('I6', 'ends of jobs were never told', untold),
      await ledger.violation(
        'I6',
        'deliveries are not written down as succeeded',
        open.map(({ job }) => job),
      ),
      await ledger.violation(
        'I6',
        'webhooks came that no event tells of',
        [...hooks.keys()].filter((id) => !ids.has(id)),
      ),
    ],
  };
}
