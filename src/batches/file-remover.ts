import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import {
  inSteps,
  type KeptProject,
  type Removed,
  type Remover,
  throughProjects,
} from '../retention/remover.js';
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

  walk(projects: readonly KeptProject[]): AsyncGenerator<Removed> {
    return throughProjects(projects, 'files', (projectId, before) =>
      inSteps<string>('file', NIL, (place) => this.files.deleteOld(projectId, place, before)),
    );
  }
}
