import { setImmediate as breathe } from 'node:timers/promises';
import { jsonOf } from '../http/kept-json.js';

/** Lines are given out in pieces of about so many bytes; others have their turn between two of them. */
const PIECE_BYTES = 256 * 1024;

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/** Requests of a body as the lines of an input file; what a request says itself of `method` and `url` holds. */
export async function* inlineLines(endpoint: string, requests: readonly unknown[]): AsyncGenerator<Buffer> {
  const begin = Buffer.from(`{"method":"POST","url":${JSON.stringify(endpoint)}`);
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const request of requests) {
    const line = lineOf(begin, onOneLine(jsonOf(request)));
    parts.push(...line);
    bytes += line.reduce((sum, part) => sum + part.length, 0);
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
    await breathe();
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

const COMMA = Buffer.from(',');
const END = Buffer.from('\n');

function lineOf(begin: Buffer, json: Buffer): Buffer[] {
  // What is no object is told of where lines are checked.
  if (json[0] !== OPEN_BRACE) return [json, END];
  // Of doubled keys the last one holds.
  return isEmpty(json) ? [begin, json.subarray(1), END] : [begin, COMMA, json.subarray(1), END];
}

function isEmpty(json: Buffer): boolean {
  let i = 1;
  while (json[i] === SPACE || json[i] === 0x09) i += 1;
  return json[i] === CLOSE_BRACE;
}

/** Line ends in JSON are never inside of a text: there they are written as escapes. */
function onOneLine(json: Buffer): Buffer {
  if (!json.includes(LINE_FEED) && !json.includes(CARRIAGE_RETURN)) return json;
  return json.map((byte) => (byte === LINE_FEED || byte === CARRIAGE_RETURN ? SPACE : byte)) as Buffer;
}
