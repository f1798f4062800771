/**
 * Http: what every door shares: errors, body, validation, paging, waiting, health, metrics. It knows no feature, and must
 * never let a reply go out without its request id or an error without its envelope.
 *
 * This page: every error that a caller can be told, in one table that the docs are made from.
 */

/** The words for kinds of errors in OpenAI's envelope. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'server_error';

/** What is fixed about one code. */
export interface ErrorCodeEntry {
  readonly status: number;
  readonly type: ErrorType;
  /** One sentence for the docs; the reply's own message says what was wrong this time. */
  readonly sentence: string;
  /** Says when to try again. Absent: the reply names no time. */
  readonly retryAfterSeconds?: number;
  /** Official clients try a 409 again by themselves; false tells them that it is of no use. */
  readonly mayRetry?: false;
}

const bad = (status: number, sentence: string): ErrorCodeEntry => ({
  status,
  type: 'invalid_request_error',
  sentence,
});
const missing = (sentence: string): ErrorCodeEntry => ({ status: 404, type: 'not_found_error', sentence });
const conflict = (sentence: string): ErrorCodeEntry => ({ ...bad(409, sentence), mayRetry: false });
const later = (status: 429 | 503, sentence: string): ErrorCodeEntry => ({
  status,
  type: status === 429 ? 'rate_limit_error' : 'server_error',
  sentence,
  retryAfterSeconds: 1,
});

/** Every code of the API's error envelope. A job's own failure is no error: its classes are in `routing/failure`. */
export const ERROR_CODES = {
  malformed_request: bad(
    400,
    'The request is not valid HTTP: its URL, its headers or the length of its body.',
  ),
  invalid_json: bad(400, 'The body is empty or not valid JSON in UTF-8.'),
  json_too_deep: bad(400, 'The JSON body is nested deeper than 64 levels.'),
  forbidden_key: bad(400, 'The JSON body has a key that no request may have, such as `__proto__`.'),
  invalid_body: bad(400, 'The body is JSON, but not an object.'),
  invalid_form: bad(400, 'The body is not a form in `multipart/form-data` that can be read to its end.'),
  missing_field: bad(400, 'A field that must be there is missing.'),
  invalid_value: bad(400, 'A field or a query parameter has a value that it may not have.'),
  unknown_field: bad(400, 'A field that Baton does not know, often a slip of the pen.'),
  url_not_allowed: bad(400, 'The URL may not be called: it is not https, or its address is private.'),
  missing_api_key: {
    status: 401,
    type: 'authentication_error',
    sentence: 'There is no `Authorization: Bearer` header.',
  },
  invalid_api_key: {
    status: 401,
    type: 'authentication_error',
    sentence: 'The API key is unknown, expired or deleted.',
  },
  insufficient_scope: { status: 403, type: 'permission_error', sentence: 'The API key may not do this.' },
  not_found: missing('There is no such object in your project.'),
  route_not_found: missing('There is nothing at this path.'),
  unknown_model: missing('The model is of no provider that is switched on.'),
  unknown_provider: missing('No provider of this name is switched on.'),
  unknown_policy: missing('There is no policy, or no version of it, of this name.'),
  method_not_allowed: bad(405, 'The path is right, the method is not; `Allow` lists the right ones.'),
  request_timeout: bad(408, 'The request did not arrive in time.'),
  file_in_use: conflict('A batch is still reading the file.'),
  job_not_cancellable: conflict('The job has ended already.'),
  job_not_ended: conflict('The job has not ended yet.'),
  job_in_batch: conflict('The job is a line of a batch, and is removed with it.'),
  batch_not_running: conflict('The batch has ended, or is about to: it is too late for this.'),
  batch_not_ended: conflict('The batch has not ended yet.'),
  too_many_endpoints: conflict('The project has as many webhook endpoints as it may.'),
  endpoint_disabled: conflict('The webhook endpoint is disabled or deleted; nothing is sent to it.'),
  nothing_to_retry: conflict('No line of the batch ended in a way that is to be run again.'),
  policy_read_only: conflict('The policy stands in the config file and is changed only there.'),
  provider_not_protected: conflict(
    'The provider has no circuits: it is `sim`, or the config says `protect: false`.',
  ),
  idempotency_in_flight: {
    ...bad(409, 'The first request with this `Idempotency-Key` is still running.'),
    retryAfterSeconds: 1,
  },
  body_too_large: bad(413, 'The body is larger than the limit, 4 MiB for JSON.'),
  file_too_large: bad(413, 'The file is larger than the limit, 200 MiB by default.'),
  unsupported_media_type: bad(
    415,
    'The `Content-Type` is not `application/json`, or `multipart/form-data` where a file is uploaded.',
  ),
  range_not_satisfiable: bad(416, 'The file has no bytes in the range that is asked for.'),
  idempotency_mismatch: bad(422, 'This `Idempotency-Key` was used with another body.'),
  receiver_unreachable: bad(422, 'The receiver of the test gave no answer.'),
  headers_too_large: bad(431, 'The headers are larger than 16 KiB in all.'),
  rate_limit_exceeded: later(429, 'The key makes more requests than it may.'),
  queue_full: later(429, 'As many jobs of the project wait, or as many bytes of their requests, as may.'),
  receiver_busy: later(429, 'As many calls to the webhook endpoint are under way as there may be.'),
  too_many_batches: later(429, 'The project has as many unfinished batches as it may.'),
  internal_error: {
    status: 500,
    type: 'server_error',
    sentence: "A defect in Baton; the log has it under the reply's `x-request-id`.",
  },
  database_unavailable: later(503, 'The database cannot be reached. Nothing was accepted.'),
  storage_unavailable: later(
    503,
    'The store of files cannot be reached or refuses Baton. Nothing was accepted.',
  ),
  overloaded: later(503, 'Baton takes no more requests for the moment. Nothing was accepted.'),
  shutting_down: later(503, 'This process is stopping. Nothing was accepted; another process may answer.'),
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ApiErrorOptions {
  /** The field, query parameter or header that is wrong: `request.model`, `steps.0.model`. */
  readonly param?: string | null;
  /** Takes the place of the code's own. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** OpenAI's error envelope. */
export interface ErrorEnvelope {
  readonly error: {
    readonly message: string;
    readonly type: ErrorType;
    readonly param: string | null;
    readonly code: ErrorCode;
  };
}

/** An answer that tells the caller what is wrong, where, and what would be right. Throw it from any door. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly status: number;
  private readonly options: ApiErrorOptions;

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.param = options.param ?? null;
    this.status = ERROR_CODES[code].status;
    this.options = options;
  }

  /** The body of the reply. */
  toEnvelope(): ErrorEnvelope {
    const { message, param, code } = this;
    return { error: { message, type: ERROR_CODES[code].type, param, code } };
  }

  /** The headers that go with it, in lower case. */
  toHeaders(): Record<string, string> {
    const entry: ErrorCodeEntry = ERROR_CODES[this.code];
    const retryAfterSeconds = this.options.retryAfterSeconds ?? entry.retryAfterSeconds;
    return {
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterSeconds)) }),
      ...(entry.mayRetry === false ? { 'x-should-retry': 'false' } : {}),
      ...this.options.headers,
    };
  }
}
