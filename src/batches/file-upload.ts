import { ApiError } from '../http/api-error.js';
import type { FormTaker } from '../http/read-form.js';
import { textFlaw } from '../http/text-flaw.js';
import { FILE_LIFE, isLife, LIFE_RULE, UPLOAD_PURPOSES, type UploadPurpose } from './file-terms.js';
import type { FileDescription } from './files.repository.js';

const LONGEST_FILENAME = 255;
const FIELDS = ['file', 'purpose', 'expires_after[anchor]', 'expires_after[seconds]'];

/** What an upload has brought: what is said of the file, and what was made of its bytes. */
export interface Upload<T> {
  readonly description: FileDescription;
  readonly received: T;
}

/**
 * The form of an upload, with its fields in any order. `receive` gets the bytes as they come, perhaps before anything else is
 * known; what is wrong with a field that comes first is told before the bytes are read.
 */
export class FileUpload<T> implements FormTaker {
  /** What `receive` made of the bytes; undefined before they have all come. */
  received: T | undefined;
  private filename = '';
  private readonly fields = new Map<string, string>();

  constructor(private readonly receive: (bytes: AsyncIterable<Buffer>) => Promise<T>) {}

  field(name: string, text: string): void {
    if (name === 'file') {
      throw wrong('file', 'must be a file: a part of the form with a filename. It came as a text');
    }
    if (!FIELDS.includes(name)) throw unknownField(name);
    if (this.fields.has(name)) throw wrong(name, 'must be given once');
    this.fields.set(name, text);
    if (name === 'purpose') toPurpose(text);
    if (name === 'expires_after[anchor]') checkAnchor(text);
    if (name === 'expires_after[seconds]') toSeconds(text);
  }

  async file(name: string, filename: string, bytes: AsyncIterable<Buffer>): Promise<void> {
    if (name !== 'file') {
      throw FIELDS.includes(name) ? wrong(name, 'must be a text. It came as a file') : unknownField(name);
    }
    this.filename = checkedFilename(filename);
    this.received = await this.receive(bytes);
  }

  /** What came, once the form has been read to its end. Throws an ApiError if something is missing. */
  finish(): Upload<T> {
    const purpose = this.fields.get('purpose');
    const anchor = this.fields.get('expires_after[anchor]');
    const seconds = this.fields.get('expires_after[seconds]');
    if (purpose === undefined) throw missing('purpose', `it must be one of: ${UPLOAD_PURPOSES.join(', ')}`);
    if (this.received === undefined) throw missing('file', 'it must be a part of the form with a filename');
    if (anchor === undefined && seconds !== undefined) {
      throw missing('expires_after[anchor]', "it must be 'created_at'");
    }
    if (seconds === undefined && anchor !== undefined) {
      throw missing('expires_after[seconds]', `it must be ${LIFE_RULE}`);
    }
    return {
      description: {
        purpose: toPurpose(purpose),
        filename: this.filename,
        expiresInSeconds: seconds === undefined ? FILE_LIFE.normal : toSeconds(seconds),
      },
      received: this.received,
    };
  }
}

function toPurpose(text: string): UploadPurpose {
  const purpose = UPLOAD_PURPOSES.find((each) => each === text);
  if (purpose === undefined) throw wrong('purpose', `must be one of: ${UPLOAD_PURPOSES.join(', ')}`);
  return purpose;
}

function checkAnchor(text: string): void {
  if (text !== 'created_at') throw wrong('expires_after[anchor]', "must be 'created_at'");
}

function toSeconds(text: string): number {
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (isLife(seconds)) return seconds;
  throw wrong('expires_after[seconds]', `must be ${LIFE_RULE}`);
}

function checkedFilename(filename: string): string {
  // A browser sends an empty name when no file was chosen.
  if (filename === '') throw wrong('file', 'must have a filename');
  if (filename.length > LONGEST_FILENAME) {
    throw wrong('file', `must have a filename of at most ${LONGEST_FILENAME} characters`);
  }
  const flaw = textFlaw(filename);
  if (flaw !== null) throw wrong('file', `must have a filename without ${flaw}`);
  return filename;
}

function unknownField(name: string): ApiError {
  const shown = name.slice(0, 64);
  return new ApiError(
    'unknown_field',
    `'${shown}' is no field of an upload. The fields are: ${FIELDS.join(', ')}.`,
    { param: shown },
  );
}

function missing(param: string, what: string): ApiError {
  return new ApiError('missing_field', `${param} is missing: ${what}.`, { param });
}

function wrong(param: string, right: string): ApiError {
  return new ApiError('invalid_value', `${param} ${right}.`, { param });
}
