import { Injectable } from '@nestjs/common';
import type { Removed, Remover } from '../retention/remover.js';
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

  async *walk(): AsyncGenerator<Removed> {
    let next: KeyPlace | null = BEGIN;
    while (next !== null) {
      const step = await this.keys.removeNext(next);
      next = step.next;
      yield { kind: 'idempotency_key', count: step.count };
    }
  }
}
