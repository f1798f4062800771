import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import type { Removed, Remover } from '../retention/remover.js';
import { RetentionService } from '../retention/retention.service.js';
import { type ForgettingPlace, JobForgettingRepository } from './job-forgetting.repository.js';

const BEGIN: ForgettingPlace = { finishedAt: '-infinity', jobId: NIL };

/** Forgets the bodies of jobs that were submitted with `store: false`, once their results are delivered. */
@Injectable()
export class JobForgetter implements Remover {
  constructor(
    private readonly repository: JobForgettingRepository,
    retention: RetentionService,
  ) {
    retention.register(this);
  }

  async *walk(): AsyncGenerator<Removed> {
    let next: ForgettingPlace | null = BEGIN;
    while (next !== null) {
      const step = await this.repository.forgetNext(next);
      next = step.next;
      yield { kind: 'job_body', count: step.forgotten };
    }
  }
}
