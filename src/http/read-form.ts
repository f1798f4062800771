import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { ApiError } from './api-error.js';

/** What is done with a form as it comes in. Whatever is thrown ends the reading, and is thrown by {@link readForm}. */
export interface FormTaker {
  /** Takes one text field. */
  field(name: string, text: string): void;
  /**
   * Takes the file, of which there is at most one; resolves when it has read the bytes to their end. While it does not ask for
   * more, no more are read from the client. The bytes throw when they are cut off.
   */
  file(name: string, filename: string, bytes: AsyncIterable<Buffer>): Promise<void>;
}

export interface FormOptions {
  /** How long the client may send nothing while we would read. */
  readonly stallMs: number;
  /** When it is aborted the form is given up, with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Far more than any form here has; each text is a short one. */
const LIMITS = {
  files: 1,
  fields: 20,
  parts: 30,
  fieldSize: 16 * 1024,
  headerPairs: 20,
  headerSize: 16 * 1024,
} as const;

/**
 * Reads a form (`multipart/form-data`) to its end, holding no more of it than a few pieces. Throws an {@link ApiError} when it
 * is broken, stalls or is cut off; by then `taker` has come to an end, and the rest of the body is still unread.
 */
export async function readForm(
  request: IncomingMessage,
  taker: FormTaker,
  options: FormOptions,
): Promise<void> {
  const parser = parserOf(request);
  let taking: Promise<void> = Promise.resolve();
  let file: BusboyFileStream | undefined;
  let stopWatching: () => void = () => undefined;
  const reading = new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => {
      request.unpipe(parser);
      reject(error instanceof Error ? error : new Error('The form was given up', { cause: error }));
    };
    parser.on('file', (name, bytes, filename) => {
      file = bytes;
      // Nobody else may be listening any more when it breaks.
      bytes.on('error', () => undefined);
      taking = taker.file(name, filename, bytes);
      taking.catch(fail);
    });
    parser.on('field', (name, text, _isNameCut, isCut) => {
      try {
        if (isCut) throw invalid(`The field '${name}' is longer than ${LIMITS.fieldSize} bytes.`);
        taker.field(name, text);
      } catch (error) {
        fail(error);
      }
    });
    parser.on('filesLimit', () => fail(secondFile()));
    parser.on('fieldsLimit', () => fail(invalid('The form has too many fields.')));
    parser.on('partsLimit', () => fail(invalid('The form has too many parts.')));
    parser.on('error', (error: unknown) => fail(invalid(`The form is broken: ${sentenceOf(error)}.`)));
    parser.on('finish', () => resolve(taking));
    stopWatching = watch(request, parser, options, fail);
    request.pipe(parser);
  });
  try {
    await reading;
  } catch (error) {
    file?.destroy(error as Error);
    throw error;
  } finally {
    stopWatching();
    await taking.catch(() => undefined);
  }
}

function parserOf(request: IncomingMessage): BusboyInstance {
  const type = request.headers['content-type'] ?? '';
  if (!/^multipart\/form-data\b/i.test(type)) {
    throw new ApiError(
      'unsupported_media_type',
      'A file is uploaded as a form: send it with the header content-type: multipart/form-data.',
    );
  }
  try {
    return new Busboy({
      headers: { ...request.headers, 'content-type': type },
      limits: LIMITS,
      isPartAFile: (_name, _type, filename) => filename !== undefined,
    });
  } catch {
    throw invalid('The header content-type has no boundary: let your HTTP client write it.');
  }
}

/** Calls `fail` when the client goes away or sends nothing for too long, or the signal says so. Answers how to end it. */
function watch(
  request: IncomingMessage,
  parser: BusboyInstance,
  { stallMs, signal }: FormOptions,
  fail: (error: unknown) => void,
): () => void {
  const onGone = (): void => {
    if (!request.complete) fail(new ApiError('malformed_request', 'The connection broke before the end.'));
  };
  const onAbort = (): void => fail(signal.reason);
  const timer = setTimeout(() => {
    // While it is we who are slow, nothing can come.
    if (parser.writableLength > 0) timer.refresh();
    else fail(stalled(stallMs));
  }, stallMs);
  const onData = (): void => void timer.refresh();
  request.on('data', onData).on('error', onGone).on('close', onGone);
  request.once('end', () => clearTimeout(timer));
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  return () => {
    clearTimeout(timer);
    request.off('data', onData).off('close', onGone);
    signal.removeEventListener('abort', onAbort);
  };
}

function stalled(stallMs: number): ApiError {
  return new ApiError('request_timeout', `Nothing more of the form came for ${stallMs / 1000} s.`, {
    headers: { connection: 'close' },
  });
}

function secondFile(): ApiError {
  return new ApiError('invalid_value', 'The form has more than one file. Send one file for each request.', {
    param: 'file',
  });
}

function invalid(message: string): ApiError {
  return new ApiError('invalid_form', message);
}

function sentenceOf(error: unknown): string {
  const message = error instanceof Error ? error.message : 'it cannot be read';
  return message.charAt(0).toLowerCase() + message.slice(1, 120).replace(/\.$/, '');
}
