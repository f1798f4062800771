import { expectDocsSection, markdownTable } from '../../test/support/docs-section.js';
import { ApiError, ERROR_CODES, type ErrorCode, type ErrorCodeEntry } from './api-error.js';

const CODES = Object.entries(ERROR_CODES) as [ErrorCode, ErrorCodeEntry][];

test('the docs list every code with its status and type', () => {
  const rows = CODES.map(([code, { status, type, sentence }]) => [
    `\`${code}\``,
    String(status),
    `\`${type}\``,
    sentence,
  ]);
  expectDocsSection('errors.md', 'codes', markdownTable(['Code', 'Status', 'Type', 'Meaning'], rows));
});

test.each(CODES)('%s makes the envelope, with its status and nothing else', (code, entry) => {
  const error = new ApiError(code, 'What is wrong.');
  expect(error.status).toBe(entry.status);
  expect(error.toEnvelope()).toEqual({
    error: { message: 'What is wrong.', type: entry.type, param: null, code },
  });
});

test.each(CODES.filter(([, { status }]) => status === 429 || status === 503))(
  '%s says when to try again',
  (code) => {
    expect(new ApiError(code, '').toHeaders()).toEqual({ 'retry-after': '1' });
    expect(new ApiError(code, '', { retryAfterSeconds: 2.1 }).toHeaders()).toEqual({ 'retry-after': '3' });
  },
);

test.each(CODES.filter(([, { status }]) => status === 409))(
  '%s, a 409, says whether to try again',
  (code) => {
    const headers = new ApiError(code, '').toHeaders();
    expect(Object.keys(headers)).toHaveLength(1);
    expect(headers).toEqual(
      code === 'idempotency_in_flight' ? { 'retry-after': '1' } : { 'x-should-retry': 'false' },
    );
  },
);

test('a field and headers of its own go along', () => {
  const error = new ApiError('invalid_value', 'x', { param: 'request.model', headers: { allow: 'GET' } });
  expect(error.toEnvelope().error.param).toBe('request.model');
  expect(error.toHeaders()).toEqual({ allow: 'GET' });
});
