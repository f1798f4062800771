import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Logger } from '@nestjs/common';
import type { ConnectionLine } from '../storage/connection-line.js';
import type { MetricsService } from '../telemetry/metrics.service.js';
import { ApiError } from './api-error.js';
import { hasBody } from './body-time.js';
import { JSON_BODY_LIMIT } from './json-body.js';
import { holdPlace } from './request-place.js';
import { takesUpload } from './upload-route.js';

/** All bodies together that are being read or worked on. */
const MOST_BODY_BYTES = 128 * 1024 * 1024;
/** Whoever comes while somebody has waited this long for a connection would wait at least as long. */
const LONGEST_LINE_MS = 250;
/**
 * So many are let in however long that line is: it is the worker's of the same process then, which refusing them would not
 * make shorter, and they can look how far it is.
 */
const LET_IN_ANYHOW = 10;
const LOG_EVERY_MS = 60_000;

/** What the door must know. */
export interface DoorOptions {
  readonly maxRequestsInFlight: number;
  readonly line: Pick<ConnectionLine, 'longestWaitMs' | 'isDatabaseAway' | 'onServed'>;
}

type Reason = 'requests' | 'bodies' | 'database';

/**
 * Refuses requests while there is more to do than can be done soon: before their body is read and their key is looked at, so
 * that a refusal costs next to nothing and what was let in is done as fast as ever.
 */
export class Door {
  private readonly logger = new Logger('Door');
  private requests = 0;
  private bodyBytes = 0;
  private unsaid = 0;
  private saidAtMs = -Infinity;

  constructor(
    private readonly options: DoorOptions,
    private readonly metrics: MetricsService,
  ) {
    options.line.onServed((seconds) => metrics.poolWait.observe(seconds));
    metrics.beforeScrape(() => metrics.requestsInFlight.set(this.requests));
  }

  /** Watches over all requests to come. */
  guard(server: FastifyInstance): void {
    server.addHook('onRequest', (request, reply, done) => {
      if (isAlwaysOpen(request)) return done();
      const bytes = bodyBytesOf(request);
      const reason = this.reasonAgainst(bytes);
      if (reason !== null) return done(this.refusal(reason));
      this.reserve(reply, bytes);
      done();
    });
    // The body is there: until now its sender was waited for, which must not keep others out.
    server.addHook('preValidation', (request, reply, done) => {
      // An upload is streamed, and takes as long as its sender does.
      if (isAlwaysOpen(request) || takesUpload(request)) return done();
      if (this.isFull) return done(this.refusal('requests'));
      this.letIn(reply);
      done();
    });
  }

  private get isFull(): boolean {
    return this.requests >= this.options.maxRequestsInFlight;
  }

  private reasonAgainst(bytes: number): Reason | null {
    if (this.isFull) return 'requests';
    if (this.bodyBytes + bytes > MOST_BODY_BYTES) return 'bodies';
    const isFew = this.requests < LET_IN_ANYHOW;
    return !isFew && this.options.line.longestWaitMs > LONGEST_LINE_MS ? 'database' : null;
  }

  /** Until the end of the request: whoever waits for a job still holds the body that it sent. */
  private reserve(reply: FastifyReply, bytes: number): void {
    if (bytes === 0) return;
    this.bodyBytes += bytes;
    reply.raw.once('close', () => (this.bodyBytes -= bytes));
  }

  private letIn(reply: FastifyReply): void {
    let isWorkedOn = true;
    this.requests += 1;
    const giveBack = (): void => {
      if (isWorkedOn) this.requests -= 1;
      isWorkedOn = false;
    };
    holdPlace(reply, giveBack);
    reply.raw.once('close', giveBack);
  }

  private refusal(reason: Reason): ApiError {
    this.metrics.requestsRefused.inc({ reason });
    this.say(reason);
    if (reason === 'database' && this.options.line.isDatabaseAway) {
      return new ApiError('database_unavailable', 'The database cannot be reached. Try again in a moment.');
    }
    return new ApiError('overloaded', 'Baton has too much to do just now. Try again in a second.');
  }

  /** One line a minute: a line for each would be more work than what is refused. */
  private say(reason: Reason): void {
    this.unsaid += 1;
    const nowMs = performance.now();
    if (nowMs - this.saidAtMs < LOG_EVERY_MS) return;
    this.saidAtMs = nowMs;
    this.logger.warn(`Requests are refused: ${SENTENCES[reason]}; ${this.unsaid} since this was said last`);
    this.unsaid = 0;
  }
}

const SENTENCES: Readonly<Record<Reason, string>> = {
  requests: 'as many are worked on as MAX_REQUESTS_IN_FLIGHT says',
  bodies: 'the bodies of those that are worked on take too much memory',
  database: 'the line for a database connection is too long',
};

/** Health, metrics, the docs, and what is no route at all ask nothing of the database. */
function isAlwaysOpen({ routeOptions: { url } }: FastifyRequest): boolean {
  return url === undefined || ALWAYS_OPEN.test(url);
}
const ALWAYS_OPEN = /^\/(livez|readyz|metrics|openapi\.json|docs(\/.*)?)$/;

/** What the body takes in memory: as much as it says, or else as much as it may. */
function bodyBytesOf(request: FastifyRequest): number {
  if (!hasBody(request) || takesUpload(request)) return 0;
  const length = Number(request.headers['content-length'] ?? JSON_BODY_LIMIT);
  return Number.isNaN(length) ? JSON_BODY_LIMIT : Math.min(length, JSON_BODY_LIMIT);
}
