import type { Bell } from '../queue/queues.js';

/** A ringing of a job's bell, and which queue hears it. */
export interface JobBell extends Bell {
  readonly queue: 'run-job' | 'run-line';
  /** Whose it is: a batch's uuid for a line; null for a job that was submitted by itself. */
  readonly source: string | null;
  /** Whether it may share a message: a line with others of its batch, a single job with those whose ranks are next to its own. */
  readonly isOfMany: boolean;
}

/** The row of a job that is to be rung. */
export interface RungJob {
  readonly id: string;
  readonly dispatchNo: number;
  /** As in `PRIORITIES`. */
  readonly priority: number;
  /** The batch whose line it is; null for a job that was submitted by itself. */
  readonly batchId: string | null;
  /** Its place, from 1, among the jobs of the same source (a project's own, or a batch's) and priority that are rung and not taken. */
  readonly place: number;
  /** Whether so many of its source are rung that it need not be heard by itself. Where that is not said it must be. */
  readonly isOfMany?: boolean;
}

/** How many may share a message, which is heard at the cost of one. Of single jobs fewer: who takes some has them all before the next one. */
export const MOST_TOGETHER: Readonly<Record<JobBell['queue'], number>> = { 'run-job': 4, 'run-line': 10 };

/**
 * Ranks by place: who has little in the window goes before who has much, so that the workers turn to all sources alike, and a
 * source that had nothing there is heard next. A place of `normal` counts as four of `high`, and one of `low` as sixteen; as the
 * windows are in the same proportion, each priority is heard by its share even while another one has more than can be done.
 */
export function bellOf({ id, dispatchNo, priority, batchId, place, isOfMany = false }: RungJob): JobBell {
  return {
    id,
    dispatchNo,
    rank: place * 4 ** (priority - 1),
    queue: batchId === null ? 'run-job' : 'run-line',
    source: batchId,
    isOfMany,
  };
}

/**
 * Bells of many of the same batch, or of none, by so many, the others each by itself, in the order of their ranks: a group is heard when
 * its first would be.
 */
export function groupsOf(bells: readonly JobBell[], most: number): JobBell[][] {
  const open = new Map<string | null, JobBell[]>();
  const groups: JobBell[][] = [];
  for (const bell of [...bells].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))) {
    let group = bell.isOfMany ? open.get(bell.source) : undefined;
    if (!group || group.length >= most) {
      groups.push((group = []));
      if (bell.isOfMany) open.set(bell.source, group);
    }
    group.push(bell);
  }
  return groups;
}
