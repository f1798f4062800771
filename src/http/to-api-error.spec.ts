import { BadRequestException, ForbiddenException, HttpException, NotFoundException } from '@nestjs/common';
import { ApiError } from './api-error.js';
import { toApiError } from './to-api-error.js';

const coded = (code: string, message = 'secret inside', more: object = {}) =>
  Object.assign(new Error(message), { code, ...more });
const mapped = (code: string, status: number) => new HttpException('x', status, { cause: coded(code) });

test.each<[string, unknown, string, number]>([
  ['a large body', mapped('FST_ERR_CTP_BODY_TOO_LARGE', 413), 'body_too_large', 413],
  ['a form', mapped('FST_ERR_CTP_INVALID_MEDIA_TYPE', 415), 'unsupported_media_type', 415],
  ['a body of another length', mapped('FST_ERR_CTP_INVALID_CONTENT_LENGTH', 400), 'malformed_request', 400],
  ['a bad URL', coded('FST_ERR_BAD_URL'), 'malformed_request', 400],
  ['no route', coded('FST_ERR_NOT_FOUND'), 'route_not_found', 404],
  ["the router's own 404", new NotFoundException('Cannot GET /x'), 'route_not_found', 404],
  ['a 404 of a feature', new NotFoundException('No such thing'), 'not_found', 404],
  ['a 403', new ForbiddenException(), 'insufficient_scope', 403],
  ['another 4xx', new BadRequestException('odd'), 'malformed_request', 400],
  ['a body that was cut', coded('ECONNRESET', 'aborted', { statusCode: 400 }), 'malformed_request', 400],
  ['a refused connection', coded('ECONNREFUSED'), 'database_unavailable', 503],
  ['a missing socket', coded('ENOENT', 'x', { syscall: 'connect' }), 'database_unavailable', 503],
  ['a server that stops', coded('57P01'), 'database_unavailable', 503],
  ['a server that starts', coded('57P03'), 'database_unavailable', 503],
  ['a server that is full', coded('53300'), 'database_unavailable', 503],
  ['a lost connection', coded('08006'), 'database_unavailable', 503],
  [
    'a lost connection without code',
    new Error('Connection terminated unexpectedly'),
    'database_unavailable',
    503,
  ],
  ['a full pool', new Error('timeout exceeded when trying to connect'), 'database_unavailable', 503],
  ['a missing file', coded('ENOENT', 'x', { syscall: 'open' }), 'internal_error', 500],
  ['a broken statement', coded('42601'), 'internal_error', 500],
  ['a broken rule of the database', coded('23505'), 'internal_error', 500],
  ['a defect', new TypeError('secret inside'), 'internal_error', 500],
  ['a thrown text', 'secret inside', 'internal_error', 500],
  ['nothing', undefined, 'internal_error', 500],
])('%s', (_, thrown, code, status) => {
  const error = toApiError(thrown);
  expect(error).toMatchObject({ code, status });
  expect(error.message).not.toContain('secret inside');
  expect(error.cause).toBe(thrown);
});

test('what is said already stays as it is', () => {
  const error = new ApiError('not_found', 'x');
  expect(toApiError(error)).toBe(error);
});
