/**
 * Telemetry: what Baton says of itself, log and metrics. It must never say a key, a prompt, an answer or a header: objects
 * are logged through the allow-lists below, and everything else about them is left out.
 */
import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { AppConfig } from '../config/config.js';

/** How deep causes of an error are followed. */
const DEEPEST_CAUSE = 3;

/** As much as is kept of lines that can't be written. */
const MOST_UNWRITTEN_BYTES = 1_048_576;

/**
 * The root of all logs: one JSON object a line, on stderr, so that stdout stays free for what is meant for people. Lines
 * are written at once, so the last ones before a crash are not lost.
 */
export function createLogger(
  level: AppConfig['logLevel'],
  destination: DestinationStream = standardError(),
): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorToLog, error: errorToLog, req: requestToLog, res: replyToLog },
    },
    destination,
  );
}

/** Parts of Nest that tell of each module and route at every start: of use only when looking for a mistake. */
const FRAMEWORK_CONTEXTS = new Set<unknown>([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
]);

/** Nest's own logging, and that of its `Logger` class, on the root log. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.write(FRAMEWORK_CONTEXTS.has(rest.at(-1)) ? 'debug' : 'info', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  /** Nest calls with (message, …params, context); a text before the context of an error is its stack. */
  private write(
    level: 'info' | 'error' | 'warn' | 'debug' | 'trace' | 'fatal',
    message: unknown,
    rest: unknown[],
  ): void {
    if (!this.logger.isLevelEnabled(level)) return;
    const params = [...rest];
    const context = typeof params.at(-1) === 'string' ? params.pop() : undefined;
    const error = [message, ...params].find(isError);
    const stack =
      level === 'error' && error === undefined ? params.find((each) => typeof each === 'string') : undefined;
    const fields = params.filter((each) => typeof each === 'object' && each !== null && !isError(each));
    const own = typeof message === 'object' && message !== null && !isError(message) ? message : {};
    const text = typeof message === 'string' ? message : (error?.message ?? '');
    this.logger[level]({ context, ...own, ...Object.assign({}, ...fields), err: error, stack }, text);
  }
}

/** No log is worth a stop: what can't be written, since the disk is full, is written later, or never if it is too much. */
function standardError(): DestinationStream {
  const stream = pino.destination({ fd: 2, sync: true, maxLength: MOST_UNWRITTEN_BYTES });
  stream.on('error', () => undefined);
  return stream;
}

/** What may be said of an error. Drivers hang rows and statements onto theirs; those stay out. */
function errorToLog(value: unknown, depth = 0): unknown {
  if (!isError(value))
    return { message: typeof value === 'string' ? value : `not an error: ${typeof value}` };
  const { name, message, stack, cause } = value;
  const code = 'code' in value && typeof value.code === 'string' ? value.code : undefined;
  return {
    type: name,
    message,
    code,
    stack,
    ...(cause !== undefined && depth < DEEPEST_CAUSE ? { cause: errorToLog(cause, depth + 1) } : {}),
  };
}

function requestToLog(value: unknown): unknown {
  const { id, method, url } = fieldsOf(value);
  // A query may hold a user's texts, such as a filter on metadata.
  return { id, method, path: typeof url === 'string' ? url.split('?', 1)[0] : undefined };
}

function replyToLog(value: unknown): unknown {
  return { status: fieldsOf(value)['statusCode'] };
}

function fieldsOf(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** By shape: an error may come from another realm, where it is of another class. */
function isError(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;
}
