import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import { BatchJobsService } from '../jobs/batch-jobs.service.js';
import { type KeptProject, type Removed, type Remover, throughProjects } from '../retention/remover.js';
import { RetentionService } from '../retention/retention.service.js';
import { BatchRetentionRepository } from './batch-retention.repository.js';

/** Removes batches that ended long ago: their lines step by step, and the batch when none is left. */
@Injectable()
export class BatchRemover implements Remover {
  constructor(
    private readonly repository: BatchRetentionRepository,
    private readonly jobs: BatchJobsService,
    retention: RetentionService,
  ) {
    retention.register(this);
  }

  walk(projects: readonly KeptProject[]): AsyncGenerator<Removed> {
    return throughProjects(projects, 'batches', (projectId, before) => this.walkThrough(projectId, before));
  }

  private async *walkThrough(projectId: string, before: Date): AsyncGenerator<Removed> {
    let next: string | null = NIL;
    while (next !== null) {
      const page = await this.repository.old(projectId, next, before);
      for (const batchId of page.batchIds) yield* this.removeWhole(batchId);
      next = page.next;
    }
  }

  private async *removeWhole(batchId: string): AsyncGenerator<Removed> {
    let count = 1;
    while (count > 0) {
      count = await this.jobs.removeLines(batchId);
      yield { kind: 'line', count };
    }
    do {
      count = await this.repository.removeRejects(batchId);
      yield { kind: 'line', count };
    } while (count > 0);
    const isGone = await this.repository.remove(
      batchId,
      (trx) => this.jobs.hasLines(trx, batchId),
      (trx) => this.jobs.removeTallies(trx, batchId),
    );
    yield { kind: 'batch', count: isGone ? 1 : 0 };
  }
}
