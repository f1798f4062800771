import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { ApiError, type ErrorCode } from './api-error.js';
import type { RouteList } from './route-list.js';
import { toApiError } from './to-api-error.js';

/** Answers everything that is thrown on the way of a request, in the one envelope. */
@Catch()
export class ErrorReply implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly routes: RouteList,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.send(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** For errors that come before any route, such as a URL that cannot be read. */
  send(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = this.withHint(toApiError(thrown), request);
    this.log(error, request);
    if (reply.sent || reply.raw.headersSent) {
      // Half of a good reply is out: the caller must see that it was cut, not that it ended.
      reply.raw.destroy();
      return;
    }
    // Where the framework fails before its first hook, no one has said the id yet.
    const headers = { 'x-request-id': request.id, ...error.toHeaders() };
    void reply.code(error.status).headers(headers).send(error.toEnvelope());
  }

  private withHint(error: ApiError, request: FastifyRequest): ApiError {
    if (error.code !== 'route_not_found') return error;
    const [path = '/'] = (request.raw.url ?? '/').split('?', 1);
    const method = request.raw.method ?? 'GET';
    const shown = path.length > SHOWN_LETTERS ? `${path.slice(0, SHOWN_LETTERS)}…` : path;
    const allowed = this.routes.methodsOf(path);
    if (allowed.length > 0 && !allowed.includes(method)) {
      const message = `${method} is not possible at ${shown}. Use ${allowed.join(' or ')}.`;
      return new ApiError('method_not_allowed', message, { headers: { allow: allowed.join(', ') } });
    }
    const meant = this.routes.nearest(path);
    const hint = meant === null ? 'The list of all paths is at /docs.' : `Did you mean ${meant}?`;
    return new ApiError('route_not_found', `There is nothing at ${method} ${shown}. ${hint}`);
  }

  private log(error: ApiError, request: FastifyRequest): void {
    if (error.status < 500) return;
    const level = LEVELS[error.code] ?? 'warn';
    this.logger[level]({ reqId: request.id, code: error.code, err: error.cause ?? error }, 'request failed');
  }
}

/** Who is refused for want of room is counted; the log says it once for all of them. */
const LEVELS: { readonly [Code in ErrorCode]?: 'error' | 'debug' } = {
  internal_error: 'error',
  overloaded: 'debug',
};
const SHOWN_LETTERS = 100;
