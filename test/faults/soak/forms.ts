/** How long and how hard a soak is: the forms that can be asked for by `SOAK`. */
import type { FaultKind } from './faults.js';

export interface Form {
  readonly name: string;
  readonly apis: number;
  readonly workers: number;
  /** Whether the first process of each role is never ended, so that growth can be seen in it. */
  readonly sparesFirst: boolean;
  /** `WORKER_CONCURRENCY` of each worker. */
  readonly concurrency: number;
  /** Single jobs a second. */
  readonly jobsPerSecond: number;
  readonly batchLines: number;
  /** It goes on until at least so many jobs are accepted, lines of batches among them. */
  readonly jobs: number;
  /** It goes on until each fault has come at least so often. */
  readonly faults: Readonly<Record<FaultKind, number>>;
  /** Seconds between a fault and the next, drawn evenly between the two. */
  readonly spacing: readonly [number, number];
  /** How long load and faults go on for the last batch to end under them, once all else is reached. */
  readonly lastBatchSeconds: number;
  /** After so many seconds no further job is submitted, whatever has been reached. */
  readonly limitSeconds: number;
}

const SHORT: Form = {
  name: 'short',
  apis: 1,
  workers: 2,
  sparesFirst: false,
  concurrency: 20,
  jobsPerSecond: 22,
  batchLines: 500,
  jobs: 1_500,
  faults: {
    killWorker: 6,
    killApi: 2,
    rollWorker: 1,
    rollApi: 0,
    freezeWorker: 1,
    freezeApi: 0,
    wipeMessages: 2,
    killMessages: 1,
    fillMessages: 1,
    killDatabase: 2,
    cutDatabase: 1,
  },
  spacing: [2.5, 4],
  lastBatchSeconds: 5,
  limitSeconds: 90,
};

const MIDDLE: Form = {
  ...SHORT,
  name: 'middle',
  apis: 2,
  workers: 3,
  sparesFirst: true,
  batchLines: 2_000,
  jobs: 10_000,
  faults: {
    killWorker: 16,
    killApi: 6,
    rollWorker: 2,
    rollApi: 1,
    freezeWorker: 3,
    freezeApi: 1,
    wipeMessages: 3,
    killMessages: 2,
    fillMessages: 2,
    killDatabase: 4,
    cutDatabase: 3,
  },
  spacing: [5, 8],
  lastBatchSeconds: 60,
  limitSeconds: 400,
};

const LONG: Form = {
  ...MIDDLE,
  name: 'long',
  concurrency: 30,
  batchLines: 5_000,
  jobs: 100_000,
  faults: {
    killWorker: 150,
    killApi: 50,
    rollWorker: 12,
    rollApi: 6,
    freezeWorker: 12,
    freezeApi: 5,
    wipeMessages: 20,
    killMessages: 8,
    fillMessages: 6,
    killDatabase: 20,
    cutDatabase: 10,
  },
  lastBatchSeconds: 300,
  limitSeconds: 3_600,
};

const FORMS = [SHORT, MIDDLE, LONG];

/** The form of this name; the long one without a name. Throws if there is none. */
export function formNamed(name: string | undefined): Form {
  const form = FORMS.find((each) => each.name === (name || 'long'));
  if (form) return form;
  throw new Error(`SOAK must be one of ${FORMS.map((each) => each.name).join(', ')}.`);
}
