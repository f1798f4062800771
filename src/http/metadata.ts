import { registerDecorator } from 'class-validator';
import { textFlaw } from './text-flaw.js';

const MOST_PAIRS = 16;
const LONGEST_KEY = 64;
const LONGEST_VALUE = 512;
const SHOWN_LETTERS = 40;

/** Checks a property as metadata: an object of at most 16 pairs, keys up to 64 and string values up to 512 characters that can be kept. */
export function IsMetadata(): PropertyDecorator {
  return (target, property) => {
    registerDecorator({
      name: 'isMetadata',
      target: target.constructor,
      propertyName: String(property),
      validator: {
        validate: (value: unknown) => problemOfMetadata(value) === null,
        defaultMessage: (args) =>
          `${args?.property ?? 'metadata'} ${problemOfMetadata(args?.value) ?? 'is wrong'}`,
      },
    });
  };
}

/** What is wrong with a value as metadata, as the end of a sentence; null if nothing is. */
export function problemOfMetadata(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'must be an object of text values, such as {"order": "17"}';
  }
  const pairs = Object.entries(value);
  if (pairs.length > MOST_PAIRS) return `must have at most ${MOST_PAIRS} pairs; it has ${pairs.length}`;
  for (const [key, text] of pairs) {
    const shown = key.length > SHOWN_LETTERS ? `${key.slice(0, SHOWN_LETTERS)}…` : key;
    if (key.length > LONGEST_KEY) {
      return `must have keys of at most ${LONGEST_KEY} characters; '${shown}' has ${key.length}`;
    }
    if (typeof text !== 'string')
      return `must have text values; '${shown}' is ${nameOfType(text)}, write it in quotes`;
    if (text.length > LONGEST_VALUE) {
      return `must have values of at most ${LONGEST_VALUE} characters; that of '${shown}' has ${text.length}`;
    }
    const flaw = textFlaw(key) ?? textFlaw(text);
    if (flaw !== null) return `must not hold ${flaw}; '${shown}' does`;
  }
  return null;
}

function nameOfType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
