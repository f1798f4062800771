import { Injectable } from '@nestjs/common';
import { inSteps, type Removed, type Remover } from '../retention/remover.js';
import { RetentionService } from '../retention/retention.service.js';
import { IdempotencyRepository, type KeyPlace } from './idempotency.repository.js';

const BEGIN: KeyPlace = { createdAt: '-infinity', key: '' };

/** Removes keys that have done their service. */
@Injectable()
export class IdempotencyKeyRemover implements Remover {
  constructor(
    private readonly keys: IdempotencyRepository,
    retention: RetentionService,
  ) {
    retention.register(this);
  }

  walk(): AsyncGenerator<Removed> {
    return inSteps('idempotency_key', BEGIN, (place) => this.keys.removeNext(place));
  }
}
