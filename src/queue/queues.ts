/**
 * Queue: BullMQ, the bell. A message holds an id and nothing else: never a prompt, an answer or a secret. Losing every
 * message loses nothing, because what was not done is rung again from Postgres. Only this room knows which store
 * (Redis or PostgreSQL) carries the messages.
 */

/** The one table of queues: what a message's id names, and who hears it. */
export const QUEUES = {
  /** The uuid of a job that was submitted by itself; heard by `jobs.processor`. */
  'run-job': {},
  /**
   * The uuid of a job that is a line of a batch; heard by `jobs.processor` too. Apart, so that lines never take every slot
   * of a worker: a batch of slow calls would else hold up everybody until one of them ends.
   */
  'run-line': {},
  /** A batch's uuid: its next step is due; heard by `batches.processor`. */
  'advance-batch': {},
  /** A webhook delivery's uuid; heard by `webhooks.processor`. */
  'deliver-webhook': {},
} as const;

export type QueueName = keyof typeof QUEUES;

/** What a message holds. */
export interface MessageData {
  /** The row's uuid. */
  readonly id: string;
  /** Those of the rows that were rung together with it. */
  readonly others?: readonly string[];
}

/** One ringing of the bell. */
export interface Bell {
  /** The row's uuid. */
  readonly id: string;
  /**
   * Counts the times that the row became due. A bell that is rung twice with the same number is one message while the
   * first still waits, so ringing again is always safe.
   */
  readonly dispatchNo: number;
  /** Lower is sooner, from 1; without one it comes before all that have one. */
  readonly rank?: number;
}

/** How jobs' priorities stand in rows: lower is sooner. */
export const PRIORITIES = { high: 1, normal: 2, low: 3 } as const;
export type Priority = keyof typeof PRIORITIES;
