import { Global, Module } from '@nestjs/common';
import { MetricsService } from './metrics.service.js';

/** Gives the metrics to every room. Logs go through Nest's `Logger`, which the start sets to the root log. */
@Global()
@Module({ providers: [MetricsService], exports: [MetricsService] })
export class TelemetryModule {}
