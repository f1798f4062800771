import { ApiError } from '../http/api-error.js';
import { type ByteRange, hasTag, parseRange } from '../http/byte-range.js';
import { toPublicId } from '../storage/ids.js';
import type { FileRow } from './files.repository.js';

/** The headers of a request for a file's bytes, as far as they matter. */
export interface ContentRequest {
  readonly range?: string | undefined;
  readonly 'if-range'?: string | string[] | undefined;
  readonly 'if-none-match'?: string | undefined;
}

/** How such a request is answered: with these bytes, or with none if the client has them. */
export interface ContentAnswer {
  readonly status: 200 | 206 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: ByteRange;
}

/** What of the file goes out, and under which headers. Throws `range_not_satisfiable`. */
export function answerContent(row: FileRow, request: ContentRequest): ContentAnswer {
  const size = row.bytes;
  // A file never changes, so its id is the best tag that there can be.
  const etag = `"${toPublicId('file', row.id)}"`;
  const known = { etag, 'accept-ranges': 'bytes', 'cache-control': 'private, no-cache' };
  if (hasTag(request['if-none-match'], etag)) {
    return { status: 304, headers: known, bytes: { start: 0, end: 0 } };
  }
  const isSame = request['if-range'] === undefined || request['if-range'] === etag;
  const range = isSame ? parseRange(request.range, size) : null;
  if (range === 'unsatisfiable') {
    throw new ApiError(
      'range_not_satisfiable',
      `The file has ${size} bytes, and the range lies outside of them.`,
      { param: 'Range', headers: { 'content-range': `bytes */${size}` } },
    );
  }
  const bytes = range ?? { start: 0, end: size };
  const headers = {
    ...known,
    'content-type': 'application/octet-stream',
    'content-length': String(bytes.end - bytes.start),
    'content-disposition': contentDisposition(row.filename),
  };
  if (!range) return { status: 200, headers, bytes };
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${range.start}-${range.end - 1}/${size}` },
    bytes,
  };
}

/** Says to save it under its name: once in letters that every client reads, once whole (RFC 6266, section 4.3). */
export function contentDisposition(filename: string): string {
  const plain = filename.replace(/[^\x20-\x7e]|["\\%]/gu, '_');
  const whole = encodeURIComponent(filename).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${whole}`;
}
