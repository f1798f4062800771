import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import type { KeptProject, Removed, Remover } from '../retention/remover.js';
import { RetentionService } from '../retention/retention.service.js';
import { FilesRepository } from './files.repository.js';

/** Takes files that are too old from their project's eyes; the file sweeper removes their bytes, as those of all deleted ones. */
@Injectable()
export class FileRemover implements Remover {
  constructor(
    private readonly files: FilesRepository,
    retention: RetentionService,
  ) {
    retention.register(this);
  }

  async *walk(projects: readonly KeptProject[]): AsyncGenerator<Removed> {
    for (const { id, cutoffs } of projects) {
      if (cutoffs.files !== null) yield* this.walkThrough(id, cutoffs.files);
    }
  }

  private async *walkThrough(projectId: string, before: Date): AsyncGenerator<Removed> {
    let next: string | null = NIL;
    while (next !== null) {
      const step = await this.files.deleteOld(projectId, next, before);
      next = step.next;
      yield { kind: 'file', count: step.count };
    }
  }
}
