import { HttpException } from '@nestjs/common';
import { BlobOutage } from '../storage/blob-outage.js';
import { isDatabaseOutage } from '../storage/database-outage.js';
import { ApiError, type ErrorCode } from './api-error.js';

/**
 * What the caller is told of anything that was thrown. What is not known here is `internal_error`, whose message says
 * nothing of the inside; the cause stays on the error for the log.
 */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  const cause = thrown instanceof HttpException && thrown.cause !== undefined ? thrown.cause : thrown;
  const { code, statusCode } = fieldsOf(cause);
  const known = typeof code === 'string' ? FRAMEWORK_ERRORS[code] : undefined;
  if (known !== undefined) return new ApiError(...known, { cause: thrown });
  if (thrown instanceof HttpException) return ofHttpException(thrown);
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new ApiError('malformed_request', 'The request could not be read to its end.', { cause: thrown });
  }
  if (isDatabaseOutage(cause)) {
    return new ApiError('database_unavailable', 'The database cannot be reached. Try again in a moment.', {
      cause: thrown,
    });
  }
  if (cause instanceof BlobOutage) {
    return new ApiError('storage_unavailable', 'The store of files cannot be used. Try again in a moment.', {
      cause: thrown,
    });
  }
  return new ApiError(
    'internal_error',
    'Something went wrong inside Baton. Its log has more under this x-request-id.',
    {
      cause: thrown,
    },
  );
}

/** What a body is told that is not JSON. */
export const NOT_JSON: [ErrorCode, string] = [
  'unsupported_media_type',
  'The body must be JSON, with the header content-type: application/json; a file is uploaded as multipart/form-data.',
];

/** Errors of the web framework, by its names (https://fastify.dev/docs/latest/Reference/Errors/). */
const FRAMEWORK_ERRORS: Readonly<Record<string, [ErrorCode, string] | undefined>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large', 'The body is too large: a JSON body may have 4 MiB.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: NOT_JSON,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'malformed_request',
    'The body is not as long as content-length says.',
  ],
  FST_ERR_BAD_URL: ['malformed_request', 'The URL is not valid: check its %-escapes.'],
  FST_ERR_MAX_PARAM_LENGTH: ['malformed_request', 'A part of the path is too long.'],
  FST_ERR_NOT_FOUND: ['route_not_found', 'There is nothing at this path.'],
};

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode | undefined>> = {
  401: 'invalid_api_key',
  403: 'insufficient_scope',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'body_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limit_exceeded',
  503: 'overloaded',
};

function ofHttpException(thrown: HttpException): ApiError {
  const status = thrown.getStatus();
  const code = CODE_OF_STATUS[status] ?? (status < 500 ? 'malformed_request' : 'internal_error');
  // The router's own way of saying that it has no such route.
  if (code === 'not_found' && thrown.message.startsWith('Cannot ')) {
    return new ApiError('route_not_found', 'There is nothing at this path.', { cause: thrown });
  }
  const message = code === 'internal_error' ? 'Something went wrong inside Baton.' : thrown.message;
  return new ApiError(code, message, { cause: thrown });
}

/** By shape: errors of the system may come from another realm. */
function fieldsOf(error: unknown): Partial<Record<string, unknown>> {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
}
