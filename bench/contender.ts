/** Who takes part in a race: each does the same work in its own way, one after the other, again and again. */
import type { Round } from './meter.js';

/** The work of one round. */
export interface Work {
  readonly jobs: number;
  /** Whether three first calls of ten fail, so that a second model is called. */
  readonly isFlaky: boolean;
}

export interface Contender {
  /** Does the work. Throws unless each job was answered exactly once. */
  round(work: Work): Promise<Round>;
}

/** Throws unless each of these is as many as there were jobs. */
export function expectAll(jobs: number, seen: Readonly<Record<string, number>>): void {
  if (Object.values(seen).every((count) => count === jobs)) return;
  throw new Error(`Not all of ${jobs} were done exactly once: ${JSON.stringify(seen)}`);
}
