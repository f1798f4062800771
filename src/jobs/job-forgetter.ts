import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import { inSteps, type Removed, type Remover } from '../retention/remover.js';
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

  walk(): AsyncGenerator<Removed> {
    return inSteps('job_body', BEGIN, (place) => this.repository.forgetNext(place));
  }
}
