import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { MetricsService } from '../telemetry/metrics.service.js';

const SAMPLE_MS = 20;
const WINDOW_MS = 10_000;
const LATE_MS = 200;
const LOG_EVERY_MS = 60_000;
const NS_PER_MS = 1e6;

/** Watches by how much the event loop is late, which everything in this process is then late by as well. */
@Injectable()
export class LoopLag implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('LoopLag');
  private readonly histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS });
  private timer: NodeJS.Timeout | undefined;
  private saidAtMs = -Infinity;

  constructor(private readonly metrics: MetricsService) {}

  onApplicationBootstrap(): void {
    this.histogram.enable();
    this.timer = setInterval(() => this.read(), WINDOW_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
    this.histogram.disable();
  }

  private read(): void {
    // A sample is the time between two of its ticks.
    const lagMs = Math.max(0, this.histogram.percentile(99) / NS_PER_MS - SAMPLE_MS);
    this.histogram.reset();
    this.metrics.loopLag.set(lagMs / 1000);
    const nowMs = performance.now();
    if (lagMs <= LATE_MS || nowMs - this.saidAtMs < LOG_EVERY_MS) return;
    this.saidAtMs = nowMs;
    this.logger.warn(
      `The event loop is late by ${Math.round(lagMs)} ms: this process, or its machine, has too much to do`,
    );
  }
}
