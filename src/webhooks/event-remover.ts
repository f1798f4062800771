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
import { type EventPlace, EventRetentionRepository } from './event-retention.repository.js';

const BEGIN: EventPlace = { createdAt: '-infinity', id: NIL };

/** Removes what was told long ago of anything but jobs; what was told of a job goes with the job. */
@Injectable()
export class EventRemover implements Remover {
  constructor(
    private readonly repository: EventRetentionRepository,
    retention: RetentionService,
  ) {
    retention.register(this);
  }

  walk(projects: readonly KeptProject[]): AsyncGenerator<Removed> {
    return throughProjects(projects, 'deliveries', (projectId, before) =>
      inSteps('event', BEGIN, (place) => this.repository.removeNext(projectId, place, before)),
    );
  }
}
