import type { WorkerOptions } from 'bullmq';

/**
 * How every processor listens. BullMQ's own retries are off (a message is tried once): when and whether something is
 * tried again is decided from Postgres. A message lost to a crash is found stalled by BullMQ or rung again by a sweeper,
 * whichever is first; the claim in Postgres makes the second one harmless.
 */
export const WORKER_OPTIONS = {
  // Started by the processor when the whole application is up.
  autorun: false,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
  lockDuration: 10_000,
  stalledInterval: 5_000,
  maxStalledCount: 1,
} satisfies Partial<WorkerOptions>;
