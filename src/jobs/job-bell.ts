import type { Bell } from '../queue/queues.js';

/** A ringing of a job's bell, and which queue hears it. */
export interface JobBell extends Bell {
  readonly queue: 'run-job' | 'run-line';
  /** Whose it is: a batch's uuid for a line; null for a job that was submitted by itself. */
  readonly source: string | null;
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
}

/**
 * Ranks by place: who has little in the window goes before who has much, so that the workers turn to all sources alike, and a
 * source that had nothing there is heard next. A place of `normal` counts as four of `high`, and one of `low` as sixteen; as the
 * windows are in the same proportion, each priority is heard by its share even while another one has more than can be done.
 */
export function bellOf({ id, dispatchNo, priority, batchId, place }: RungJob): JobBell {
  return {
    id,
    dispatchNo,
    rank: place * 4 ** (priority - 1),
    queue: batchId === null ? 'run-job' : 'run-line',
    source: batchId,
  };
}

/** Bells of the same source by so many, in the order of their ranks: each group is heard when its first would be. */
export function groupsOf(bells: readonly JobBell[], most: number): JobBell[][] {
  const open = new Map<string | null, JobBell[]>();
  const groups: JobBell[][] = [];
  for (const bell of [...bells].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))) {
    let group = open.get(bell.source);
    if (!group || group.length >= most) {
      open.set(bell.source, (group = []));
      groups.push(group);
    }
    group.push(bell);
  }
  return groups;
}
