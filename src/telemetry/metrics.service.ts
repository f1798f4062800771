import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds, from a reply out of memory to a long reasoning call. */
const CALL_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const JOB_BUCKETS_S = [...CALL_BUCKETS_S, 1800, 3600, 14_400, 86_400];
const HTTP_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60];

/**
 * Everything that Baton counts, in a registry of this app's own. Labels come from closed lists (statuses, classes,
 * configured providers, route patterns), never from what a caller wrote.
 */
@Injectable()
export class MetricsService {
  private readonly registry = new Registry();

  readonly jobsSubmitted = this.counter('baton_jobs_submitted_total', 'Jobs accepted.', ['endpoint']);
  readonly jobsEnded = this.counter('baton_jobs_ended_total', 'Jobs ended, by their last status.', [
    'status',
  ]);
  readonly jobDuration = this.histogram(
    'baton_job_duration_seconds',
    'From the acceptance of a job to its end.',
    ['status'],
    JOB_BUCKETS_S,
  );
  readonly batchesEnded = this.counter('baton_batches_ended_total', 'Batches ended, by their last status.', [
    'status',
  ]);
  /** `class` is empty for a success. */
  readonly attempts = this.counter('baton_attempts_total', 'Attempts ended.', [
    'provider',
    'outcome',
    'class',
  ]);
  readonly attemptDuration = this.histogram(
    'baton_attempt_duration_seconds',
    'Calls of providers, from the first byte sent to the last one read.',
    ['provider'],
    CALL_BUCKETS_S,
  );
  readonly fallbacks = this.counter(
    'baton_fallbacks_total',
    'Times that a job went on to another model.',
    [],
  );
  readonly webhookTries = this.counter('baton_webhook_tries_total', 'HTTP calls of webhooks.', ['outcome']);
  readonly httpRequests = this.counter('baton_http_requests_total', 'Requests answered.', [
    'method',
    'route',
    'status',
  ]);
  readonly httpRequestDuration = this.histogram(
    'baton_http_request_duration_seconds',
    'From the headers of a request to the end of its reply.',
    ['route'],
    HTTP_BUCKETS_S,
  );
  readonly leasesLost = this.counter(
    'baton_lease_lost_total',
    'Jobs taken from a worker while it ran them.',
    [],
  );
  readonly sweeperRung = this.counter(
    'baton_sweeper_rung_total',
    'Jobs rung by the sweeper: due again after a wait, or their message was lost.',
    [],
  );

  readonly listenersRebuilt = this.counter(
    'baton_listener_rebuilt_total',
    'Times that a worker heard nothing although messages waited, and took a new connection.',
    ['queue'],
  );
  readonly queueFailures = this.counter(
    'baton_queue_failures_total',
    'Messages and questions that the store of the queue refused, or did not answer in time.',
    [],
  );
  readonly queueLosses = this.counter(
    'baton_queue_lost_total',
    'Times that the store of the queue was wiped or started anew, and what it may have lost was rung again.',
    ['of'],
  );
  readonly refusals = this.counter(
    'baton_refusals_total',
    'Calls that were not made because of a limit or an open circuit.',
    ['provider', 'class'],
  );
  /** `of` is `model` or `key`. */
  readonly openCircuits = this.gauge(
    'baton_open_circuits',
    'Models and keys that are left alone because they fail, or an operator said so.',
    ['provider', 'of'],
  );
  readonly removed = this.counter(
    'baton_retention_removed_total',
    'What was removed because it was too old.',
    ['kind'],
  );
  /** `reason` is `requests`, `bodies` or `database`. */
  readonly requestsRefused = this.counter(
    'baton_requests_refused_total',
    'Requests refused at the door because there was too much to do.',
    ['reason'],
  );
  readonly requestsInFlight = this.gauge(
    'baton_requests_in_flight',
    'Requests that are worked on, without those that only wait, stream or upload.',
    [],
  );
  readonly poolWait = this.histogram(
    'baton_pg_pool_wait_seconds',
    'How long statements waited for a connection to the database.',
    [],
    HTTP_BUCKETS_S,
  );
  readonly loopLag = this.gauge(
    'baton_event_loop_lag_seconds',
    'By how much the event loop was late, at its 99th percentile of ten seconds.',
    [],
  );
  readonly waitingJobs = this.gauge(
    'baton_waiting_jobs',
    'Jobs that wait to be run, in the whole database.',
    [],
  );
  readonly waitingBytes = this.gauge(
    'baton_waiting_bytes',
    'Bytes of the requests of the jobs that wait.',
    [],
  );
  private readonly measures: (() => void)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Is called right before each scrape, to set the gauges that tell of that moment. Must not throw. */
  beforeScrape(measure: () => void): void {
    this.measures.push(measure);
  }

  /** What a scrape is answered with. */
  async expose(): Promise<{ contentType: string; text: string }> {
    for (const measure of this.measures) measure();
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }

  private counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  private gauge<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  private histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }
}
