/**
 * JSON that is read and written again without a change to its numbers. A 64-bit id does not fit into a JavaScript number; where
 * a call of a tool is translated from one format to another, it must come out with all its digits.
 */
import { parseJson } from './json.js';

/** As {@link parseJson}, but an integer that a number can't hold is a BigInt. */
export function parseExact(text: string): unknown {
  // A text that holds the mark already, which nobody writes by chance, is read as any other.
  if (!LONG_INTEGER.test(text) || text.includes(MARK)) return parseJson(text);
  let isInText = false;
  const marked = text.replaceAll(TOKEN, (token) => {
    if (token === '"') isInText = !isInText;
    return !isInText && isLong(token) ? `"${MARK}${token}"` : token;
  });
  try {
    return JSON.parse(marked, (_name, value: unknown) => toBigInt(value)) as unknown;
  } catch {
    return undefined;
  }
}

/** As JSON.stringify, with BigInts as integers. */
export function writeExact(value: unknown): string {
  let hasLong = false;
  const text = JSON.stringify(value, (_name, each: unknown) => {
    if (typeof each !== 'bigint') return each;
    hasLong = true;
    return `${MARK}${each}`;
  });
  return hasLong ? text.replaceAll(MARKED, '$1') : text;
}

/** Stands before the digits of an integer while it goes through JSON as a text. */
const MARK = '@exact-integer:';
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g');
const MARKED_TEXT = new RegExp(`^${MARK}-?\\d+$`);

/** A value of sixteen digits or more, at a place where a value may stand. */
const LONG_INTEGER = /[:[,]\s*-?\d{16,}\s*[,\]}]/;
/** What tells texts from numbers in JSON (RFC 8259): an escape, the beginning or end of a text, a number. */
const TOKEN = /\\.|"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function isLong(token: string): boolean {
  return /^-?[1-9]\d{15,}$/.test(token) && !Number.isSafeInteger(Number(token));
}

function toBigInt(value: unknown): unknown {
  return typeof value === 'string' && MARKED_TEXT.test(value) ? BigInt(value.slice(MARK.length)) : value;
}
