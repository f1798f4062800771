import type { Bell } from '../queue/queues.js';

/** A ringing of a job's bell, and which queue hears it. */
export interface JobBell extends Bell {
  readonly queue: 'run-job' | 'run-line';
}

/** The row of a job that is to be rung. */
export interface RungJob {
  readonly id: string;
  readonly dispatchNo: number;
  /** As in `PRIORITIES`. */
  readonly priority: number;
  readonly isLine: boolean;
  /** How many jobs of the same source (a project's own, or a batch's) were rung before it and are not taken yet. */
  readonly place: number;
}

/** Every rank of one priority comes before all of the next: far more than a source ever has in the window. */
const PLACES = 100_000;

/**
 * Ranks by priority, then by place: who has little in the window goes before who has much, so that the workers turn to all
 * sources alike, and a source that had nothing there is heard next.
 */
export function bellOf({ id, dispatchNo, priority, isLine, place }: RungJob): JobBell {
  const rank = (priority - 1) * PLACES + Math.min(place, PLACES - 1) + 1;
  return { id, dispatchNo, rank, queue: isLine ? 'run-line' : 'run-job' };
}
