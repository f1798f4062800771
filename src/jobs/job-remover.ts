import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import { type KeptProject, type Removed, type Remover, throughProjects } from '../retention/remover.js';
import { RetentionService } from '../retention/retention.service.js';
import { JobRetentionRepository } from './job-retention.repository.js';

/** Removes single jobs that ended long ago; lines go with their batch. */
@Injectable()
export class JobRemover implements Remover {
  /** By project: the uuid before which there is nothing left that will have to go, so that it is not looked through each minute. */
  private readonly begins = new Map<string, string>();

  constructor(
    private readonly repository: JobRetentionRepository,
    retention: RetentionService,
  ) {
    retention.register(this);
  }

  walk(projects: readonly KeptProject[]): AsyncGenerator<Removed> {
    return throughProjects(projects, 'jobs', (projectId, before) => this.walkThrough(projectId, before));
  }

  private async *walkThrough(projectId: string, before: Date): AsyncGenerator<Removed> {
    let next: string | null = this.begins.get(projectId) ?? NIL;
    let begin: string | null = null;
    let last = next;
    while (next !== null) {
      last = next;
      const step = await this.repository.removeOld(projectId, next, before);
      begin ??= step.firstHeld;
      next = step.next;
      yield { kind: 'job', count: step.removed };
    }
    this.begins.set(projectId, begin ?? last);
  }
}
