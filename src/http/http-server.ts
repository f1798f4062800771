import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Logger } from 'pino';
import { newId } from '../storage/ids.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { ApiError } from './api-error.js';
import { boundBodies } from './body-time.js';
import { Door, type DoorOptions } from './door.js';
import { answerBrokenHttp } from './broken-http.js';
import { ErrorReply } from './error-reply.js';
import { JSON_BODY_LIMIT, parseJsonBody } from './json-body.js';
import { LARGE_BODY_BYTES, parseLargeBody } from './large-body.js';
import { stringifyWithRaw } from './raw-json.js';
import { ReadinessService } from './readiness.service.js';
import { RouteList } from './route-list.js';
import { withNameAsOnePart } from './slashed-name.js';
import { NOT_JSON } from './to-api-error.js';
import { takesUpload } from './upload-route.js';

/** All headers of a request together, in bytes. */
const HEADERS_LIMIT = 16 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
/** From the first byte of a request to its last one, also of an upload. */
const LONGEST_REQUEST_MS = 3_600_000;
/** The same for everything but uploads. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How often the first two timeouts above are looked at. */
const TIMEOUT_CHECK_MS = 2000;
/** Longer than the minute that load balancers keep idle connections, so that it is they who close them. */
const KEEP_ALIVE_MS = 72_000;
const LONGEST_PATH_PART = 256;

/** Health must be readable while the process ends. */
const ALWAYS_OPEN = new Set(['/livez', '/readyz', '/metrics']);

/**
 * The web server, with everything that holds for each request whatever its route: limits, the request id, the one parser
 * of bodies, the envelope of errors. Give it to `NestFactory.create`, then call {@link configureHttp}.
 */
export class HttpAdapter extends FastifyAdapter {
  readonly errors: ErrorReply;

  constructor(
    readonly rootLogger: Logger,
    requestTimeoutMs: number,
  ) {
    const routes = new RouteList();
    const errors = new ErrorReply(rootLogger, routes);
    super({
      loggerInstance: rootLogger as FastifyBaseLogger,
      logController: new LogController({ disableRequestLogging: true }),
      bodyLimit: JSON_BODY_LIMIT,
      requestTimeout: LONGEST_REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      forceCloseConnections: 'idle',
      // Refused below instead, in our envelope.
      return503OnClosing: false,
      trustProxy: false,
      rewriteUrl: ({ url = '/' }) => withNameAsOnePart(url),
      genReqId: (request: IncomingMessage) => requestIds.get(request) ?? newId('req'),
      routerOptions: { maxParamLength: LONGEST_PATH_PART },
      http: {
        maxHeaderSize: HEADERS_LIMIT,
        headersTimeout: HEADERS_TIMEOUT_MS,
        connectionsCheckingInterval: TIMEOUT_CHECK_MS,
        // Node would answer a request without Host by itself, without our headers; the name is of no use to us.
        requireHostHeader: false,
      },
      clientErrorHandler: answerBrokenHttp,
      frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
        errors.send(error, request, reply),
    });
    this.errors = errors;
    const server: FastifyInstance = this.getInstance();
    server.addHook('onRoute', ({ method, url }) => routes.add(method, url));
    stampReplies(server);
    boundBodies(server, requestTimeoutMs);
    server.removeAllContentTypeParsers();
    server.addContentTypeParser<Buffer>(
      'application/json',
      { parseAs: 'buffer' },
      async (request: FastifyRequest, bytes: Buffer) =>
        bytes.length < LARGE_BODY_BYTES ? parseJsonBody(bytes) : parseLargeBody(bytes, request),
    );
    // Left as it comes for the handler, which reads it after the guards.
    server.addContentTypeParser('multipart/form-data', (request, _payload, done) => {
      done(takesUpload(request) ? null : new ApiError(...NOT_JSON));
    });
    server.setReplySerializer((payload) => stringifyWithRaw(payload));
  }

  /** Nest would add parsers of its own, for forms too: the one above is all there is. */
  override registerParserMiddleware(): void {}
}

/** `requestTimeoutMs` is how long a request other than an upload may take to arrive. */
export function createHttpAdapter(logger: Logger, requestTimeoutMs = REQUEST_TIMEOUT_MS): HttpAdapter {
  return new HttpAdapter(logger, requestTimeoutMs);
}

/** Sets up the parts that need the app's services. Before `app.init()` or `app.listen()`, so that every route has them. */
export function configureHttp(app: NestFastifyApplication, options: DoorOptions): void {
  const adapter = app.getHttpAdapter() as unknown as HttpAdapter;
  app.useGlobalFilters(adapter.errors);
  const server: FastifyInstance = adapter.getInstance();
  refuseWhileStopping(server, app.get(ReadinessService));
  new Door(options, app.get(MetricsService)).guard(server);
  observeRequests(server, app.get(MetricsService), adapter.rootLogger);
}

const requestIds = new WeakMap<IncomingMessage, string>();

/** Gives each reply its id and the safe headers before anything can answer, be it the router or the framework. */
function stampReplies(server: FastifyInstance): void {
  const stamp = (id: string, reply: ServerResponse): void => {
    reply.setHeader('x-request-id', id);
    reply.setHeader('x-content-type-options', 'nosniff');
    reply.setHeader('referrer-policy', 'no-referrer');
  };
  server.server.prependListener('request', (request: IncomingMessage, reply: ServerResponse) => {
    const id = newId('req');
    requestIds.set(request, id);
    stamp(id, reply);
  });
  // An expectation that is not known may be passed over (RFC 9110, section 10.1.1); Node would answer 417 by itself.
  server.server.on('checkExpectation', (request, reply) => server.server.emit('request', request, reply));
  // Injected requests come without the server.
  server.addHook('onRequest', (request, reply, done) => {
    if (!reply.raw.headersSent && !reply.raw.hasHeader('x-request-id')) stamp(request.id, reply.raw);
    done();
  });
}

function refuseWhileStopping(server: FastifyInstance, readiness: ReadinessService): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (!readiness.isShuttingDown || ALWAYS_OPEN.has(request.routeOptions.url ?? '')) return done();
    void reply.header('connection', 'close');
    done(new ApiError('shutting_down', 'This process is stopping. Try again in a moment.'));
  });
  // Idle connections are closed when the server is; one that is busy then would be kept for its next request.
  server.addHook('onResponse', ({ raw }, _reply, done) => {
    if (readiness.isShuttingDown && raw.socket instanceof Socket) raw.socket.destroySoon();
    done();
  });
}

/** Counts each reply by its route's pattern, and says it in one line at the level `debug`. */
function observeRequests(server: FastifyInstance, metrics: MetricsService, logger: Logger): void {
  server.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
    const status = reply.statusCode;
    metrics.httpRequests.inc({ method, route, status });
    metrics.httpRequestDuration.observe({ route }, reply.elapsedTime / 1000);
    const clientRequestId = String(request.headers['x-request-id'] ?? '').slice(0, 128) || undefined;
    logger.debug(
      {
        reqId: request.id,
        clientRequestId,
        method,
        route,
        status,
        durationMs: Math.round(reply.elapsedTime),
      },
      'request',
    );
    done();
  });
}
