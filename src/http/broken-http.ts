import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../storage/ids.js';
import { ApiError } from './api-error.js';

/** Answers bytes that are no HTTP request, so that not even these go without an envelope, and closes the connection. */
export function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const answer = errorOf(error.code);
  const body = JSON.stringify(answer.toEnvelope());
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'x-request-id': newId('req'),
    'x-content-type-options': 'nosniff',
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${lines.join('')}\r\n${body}`);
}

function errorOf(code: string | undefined): ApiError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('request_timeout', 'The request did not arrive in time. Send it at once.');
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('headers_too_large', 'The headers are larger than 16 KiB in all.');
    default:
      return new ApiError('malformed_request', `The request is not valid HTTP (${code ?? 'unreadable'}).`);
  }
}
