import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import type { KeptProject, Removed, Remover } from '../retention/remover.js';
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

  async *walk(projects: readonly KeptProject[]): AsyncGenerator<Removed> {
    for (const { id, cutoffs } of projects) {
      if (cutoffs.deliveries !== null) yield* this.walkThrough(id, cutoffs.deliveries);
    }
  }

  private async *walkThrough(projectId: string, before: Date): AsyncGenerator<Removed> {
    let next: EventPlace | null = BEGIN;
    while (next !== null) {
      const step = await this.repository.removeNext(projectId, next, before);
      next = step.next;
      yield { kind: 'event', count: step.count };
    }
  }
}
