/** Waits until there is nothing left to do. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Ledger } from './ledger.js';

/** What is still to be done. */
export interface Left {
  readonly jobs: number;
  readonly batches: number;
  readonly deliveries: number;
}

const LOOK_EVERY_MS = 200;

/** Resolves with what is left: nothing, or what was still there at `endMs`. */
export async function drain(ledger: Ledger, endMs: number): Promise<Left> {
  for (;;) {
    const left = await ledger.row<Left>(`select
      (select count(*)::int from jobs where status in ('queued', 'in_progress')) as jobs,
      (select count(*)::int from batches where status in ('validating', 'in_progress', 'finalizing', 'cancelling')) as batches,
      (select count(*)::int from webhook_deliveries where status = 'pending') as deliveries`);
    if (left.jobs + left.batches + left.deliveries === 0 || Date.now() > endMs) return left;
    await delay(LOOK_EVERY_MS);
  }
}
