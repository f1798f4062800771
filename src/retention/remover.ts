/**
 * Retention: disk does not grow for ever. Each minute it has every room remove what is too old of its own, in small steps with
 * pauses between them. It knows no feature: what goes, and what hangs on it, each room says itself.
 */

/** What is removed, as the metrics name it. A `job_body` is the text of a job whose row stays. */
export type RemovedKind = 'job' | 'job_body' | 'batch' | 'line' | 'event' | 'file' | 'idempotency_key';

/** What one step has removed. */
export interface Removed {
  readonly kind: RemovedKind;
  readonly count: number;
}

/** The moments, by the database's clock, before which things are too old; null keeps them for ever. */
export interface Cutoffs {
  readonly jobs: Date | null;
  readonly batches: Date | null;
  readonly deliveries: Date | null;
  readonly files: Date | null;
}

/** A project and what of it is too old. */
export interface KeptProject {
  readonly id: string;
  readonly cutoffs: Cutoffs;
}

/** Removes what is too old of one kind of thing. */
export interface Remover {
  /**
   * One walk through all that might go: each step is one short transaction of at most {@link MOST_ROWS} rows. Whoever walks may
   * pause between two steps for as long as they like, or never come back. What is locked or may not go yet is passed over, and
   * looked at again by the next walk.
   */
  walk(projects: readonly KeptProject[]): AsyncGenerator<Removed>;
}

/** So many rows one statement removes at most, without those that hang on them. */
export const MOST_ROWS = 500;

/** What a step through some of the rows came to, and the place with which the next one begins; null when all were looked at. */
export interface Step<Place> {
  readonly count: number;
  readonly next: Place | null;
}

/** Walks from a place on, step by step, until all was looked at. */
export async function* inSteps<Place>(
  kind: RemovedKind,
  begin: Place,
  step: (place: Place) => Promise<Step<Place>>,
): AsyncGenerator<Removed> {
  let place: Place | null = begin;
  while (place !== null) {
    const { count, next }: Step<Place> = await step(place);
    place = next;
    yield { kind, count };
  }
}

/** Walks through each project that does not keep these things for ever. */
export async function* throughProjects(
  projects: readonly KeptProject[],
  things: keyof Cutoffs,
  walk: (projectId: string, before: Date) => AsyncGenerator<Removed>,
): AsyncGenerator<Removed> {
  for (const { id, cutoffs } of projects) {
    const before = cutoffs[things];
    if (before !== null) yield* walk(id, before);
  }
}
