import { ApiError } from './api-error.js';
import { depthError, forbiddenKey, MOST_LEVELS, suspectKey } from './json-rules.js';

/** The largest JSON body of a request, in bytes. */
export const JSON_BODY_LIMIT = 4 * 1024 * 1024;

/**
 * Parses a request's body; undefined for an empty one. The bytes are looked over once before parsing, so neither depth nor a
 * polluting key ever reaches the parser. Throws {@link ApiError}.
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  lookOver(bytes);
  const text = decode(bytes);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError('invalid_json', `The body is not valid JSON: ${sentenceOf(error, text)}`);
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError('invalid_json', 'The body is not valid UTF-8.');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Throws if the JSON is nested too deep, or if an object has a key that reaches a prototype: `__proto__`, or `prototype`
 * inside of `constructor`. One pass; what is no JSON is left to the parser.
 */
function lookOver(bytes: Buffer): void {
  // For each open object or array, whether it is the value of a key named `constructor`.
  const isConstructor: boolean[] = [];
  let lastKey = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      const end = endOfString(bytes, i);
      if (isBeforeColon(bytes, end + 1)) {
        lastKey = suspectKey(bytes, i, end);
        if (lastKey === '__proto__') throw forbiddenKey('__proto__');
        if (lastKey === 'prototype' && isConstructor.at(-1) === true)
          throw forbiddenKey('constructor.prototype');
      }
      i = end;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      isConstructor.push(lastKey === 'constructor' && byte === OPEN_BRACE);
      lastKey = '';
      if (isConstructor.length > MOST_LEVELS) {
        throw depthError(i);
      }
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      isConstructor.pop();
    }
  }
}

/** The index of the closing quote; past the end of the bytes if there is none. */
function endOfString(bytes: Buffer, start: number): number {
  let i = start + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}

function isBeforeColon(bytes: Buffer, start: number): boolean {
  let i = start;
  while (bytes[i] === 0x20 || bytes[i] === 0x0a || bytes[i] === 0x0d || bytes[i] === 0x09) i++;
  return bytes[i] === COLON;
}

/** The parser's own sentence, which shows a few letters at most, with the place as line and column where it knows it. */
function sentenceOf(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : 'it cannot be read';
  const [, what = message, position] = /^(.*?)(?: in JSON)? at position (\d+)/s.exec(message) ?? [];
  if (position === undefined) return `${what.slice(0, LONGEST_SENTENCE)}.`;
  const before = text.slice(0, Number(position));
  const line = before.split('\n').length;
  const column = before.length - before.lastIndexOf('\n');
  return `${what.slice(0, LONGEST_SENTENCE)} at line ${line}, column ${column}.`;
}

const LONGEST_SENTENCE = 120;
