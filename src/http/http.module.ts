import { Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';
import { LoopLag } from './loop-lag.js';
import { MetricsController } from './metrics.controller.js';
import { ReadinessService } from './readiness.service.js';

/** The doors that every process has: health and metrics. What all doors share is set up in `http-server`. */
@Module({
  controllers: [HealthController, MetricsController],
  providers: [ReadinessService, LoopLag],
  exports: [ReadinessService],
})
export class HttpModule {}
