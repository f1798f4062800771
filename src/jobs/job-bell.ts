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
  /** Its place, from 1, among the jobs of the same source (a project's own, or a batch's) and priority that are rung and not taken. */
  readonly place: number;
}

/**
 * Ranks by place: who has little in the window goes before who has much, so that the workers turn to all sources alike, and a
 * source that had nothing there is heard next. A place of `normal` counts as four of `high`, and one of `low` as sixteen; as the
 * windows are in the same proportion, each priority is heard by its share even while another one has more than can be done.
 */
export function bellOf({ id, dispatchNo, priority, isLine, place }: RungJob): JobBell {
  return { id, dispatchNo, rank: place * 4 ** (priority - 1), queue: isLine ? 'run-line' : 'run-job' };
}
