/** Regular expressions that strangers bring: RE2's alone, whose time grows with the text and never explodes. */
import { RE2JS } from 're2js';
import { BoundedCache } from './bounded-cache.js';
import { runWithin } from './time-bound.js';

export const MAX_PATTERN_LENGTH = 1_000;
const MOST_PATTERNS = 200;
const SEARCH_TIMEOUT_MS = 500;

/** What is wrong with the text as a pattern, as a sentence; null if it is RE2 and not too long. */
export function problemOfPattern(text: string): string | null {
  if (text.length > MAX_PATTERN_LENGTH)
    return `The pattern has ${text.length} characters; it may have ${MAX_PATTERN_LENGTH}.`;
  try {
    compile(text);
    return null;
  } catch (error) {
    return `The pattern is not RE2 (without look-around and back references): ${why(error)}.`;
  }
}

const patterns = new BoundedCache<RE2JS>(MOST_PATTERNS);

/** Whether the pattern is found anywhere in the text; null if that took too long. Throws for what {@link problemOfPattern} finds wrong. */
export function isFound(pattern: string, text: string): boolean | null {
  const compiled = compile(pattern);
  const done = runWithin(SEARCH_TIMEOUT_MS, () => compiled.test(text));
  if (done === null) patterns.delete(pattern);
  return done?.result ?? null;
}

function compile(pattern: string): RE2JS {
  return patterns.get(pattern, () => RE2JS.compile(pattern));
}

/** A pattern of a JSON schema, which is written as in JavaScript. Throws for one that RE2 has nothing for. */
export function toSchemaPattern(pattern: string): {
  test: (text: string) => boolean;
  toString: () => string;
} {
  if (pattern.length > MAX_PATTERN_LENGTH) throw new Error('a pattern in it is too long');
  const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
  // Ajv tells patterns apart by their text.
  return { test: (text) => compiled.test(text), toString: () => pattern };
}

function why(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read';
}
