import { Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';
import { IdempotencyRepository } from './idempotency.repository.js';
import { IdempotencyService } from './idempotency.service.js';
import { MetricsController } from './metrics.controller.js';
import { ReadinessService } from './readiness.service.js';

/** The doors that every process has: health and metrics. What all doors share is set up in `http-server`, or given by the services here. */
@Module({
  controllers: [HealthController, MetricsController],
  providers: [ReadinessService, IdempotencyRepository, IdempotencyService],
  exports: [ReadinessService, IdempotencyService],
})
export class HttpModule {}
