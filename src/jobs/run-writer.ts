import { hostname } from 'node:os';
import { Injectable } from '@nestjs/common';
import { type Company, GroupCommit } from '../storage/group-commit.js';
import { LARGE_TEXT } from '../storage/table-of.js';
import type { Note } from './attempt-notes.repository.js';
import type { FinishedAttempt, Lease, NewAttempt } from './attempts.repository.js';
import { type ClaimedJob, JobRunsRepository } from './job-runs.repository.js';

/** This process, as it stands on what it holds and has called. */
export const WORKER = `${hostname()}:${process.pid}`;

/** What the runs of this process write while they go on, gathered: what comes while a write is under way is written together. */
@Injectable()
export class RunWriter {
  private readonly claims = new GroupCommit<string, ClaimedJob>((ids, company) => this.takeAll(ids, company));
  private readonly notes = new GroupCommit<Note, true>(
    async (notes, company) => (await this.runs.note(notes, company)).map((isHeld) => isHeld || null),
    ({ finished }) => (finished?.errorBody?.length ?? 0) + (finished?.message?.length ?? 0) > LARGE_TEXT,
  );

  constructor(private readonly runs: JobRunsRepository) {}

  /** Takes the job; null if it is not there to be taken: ended, running, not due, of a batch that is paused. */
  async claim(jobId: string): Promise<ClaimedJob | null> {
    return this.claims.put(jobId);
  }

  /**
   * Writes an attempt down before its call is made, and with it what became of the one before; false if the lease is lost: then the
   * call must not be made.
   */
  async begin(lease: Lease, next: NewAttempt, finished: FinishedAttempt | null): Promise<boolean> {
    return (await this.notes.put({ lease, finished, next })) !== null;
  }

  /** Finishes an attempt while its job goes on; false if the lease is lost. */
  async finish(lease: Lease, finished: FinishedAttempt): Promise<boolean> {
    return (await this.notes.put({ lease, finished, next: null })) !== null;
  }

  private async takeAll(ids: readonly string[], company: Company): Promise<(ClaimedJob | null)[]> {
    const taken = new Map((await this.runs.claim(ids, WORKER, company)).map((job) => [job.jobId, job]));
    return ids.map((id) => {
      const job = taken.get(id) ?? null;
      // Two messages of one job may have come at once: one of them has it.
      taken.delete(id);
      return job;
    });
  }
}
