import { Module } from '@nestjs/common';
import { IdempotencyKeyRemover } from './idempotency-key-remover.js';
import { IdempotencyRepository } from './idempotency.repository.js';
import { IdempotencyService } from './idempotency.service.js';

/** For rooms whose doors make something. */
@Module({
  providers: [IdempotencyRepository, IdempotencyService, IdempotencyKeyRemover],
  exports: [IdempotencyService],
})
export class IdempotencyModule {}
