import { stringify, v7, validate } from 'uuid';

/** The kinds of objects that have ids, as they stand before the `_` (files use `-`, as OpenAI's do). */
export type IdPrefix = 'job' | 'att' | 'batch' | 'file' | 'evt' | 'whe' | 'whd' | 'key' | 'proj' | 'req';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const VALUES = new Map(Array.from(ALPHABET, (letter, value) => [letter, BigInt(value)]));
const PAIRS = Array.from(ALPHABET, (first) => Array.from(ALPHABET, (second) => first + second)).flat();
/** The value of a hexadecimal digit, by its code. */
const DIGITS = Array.from({ length: 128 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase());
  return value < 0 ? undefined : value;
});
const ID_LETTERS = 26;

/** A new UUIDv7: its order is the order of creation (within one process to the millisecond and beyond). */
export function newUuid(): string {
  return v7();
}

/** The least UUIDv7 that can be made at a moment (Unix milliseconds) or after it. */
export function firstUuidAt(ms: number): string {
  return v7({ msecs: Math.max(0, ms), seq: 0, random: new Uint8Array(16) });
}

/** A new public id that is not kept as a row's key, such as a request's: `req_01J…`. */
export function newId(prefix: IdPrefix): string {
  return toPublicId(prefix, newUuid());
}

/** Turns a row's uuid into the id that users see: prefix and 26 characters of Crockford base32. */
export function toPublicId(prefix: IdPrefix, uuid: string): string {
  if (!validate(uuid)) throw new TypeError(`${uuid} is no UUID`);
  let text = '';
  // 26 letters are 130 bits: the number begins with two that are 0.
  let bits = 2;
  let rest = 0;
  for (let i = 0; i < uuid.length; i += 1) {
    const digit = DIGITS[uuid.charCodeAt(i)];
    if (digit === undefined) continue;
    rest = (rest << 4) | digit;
    bits += 4;
    if (bits < 10) continue;
    bits -= 10;
    text += PAIRS[rest >> bits] ?? '';
    rest &= (1 << bits) - 1;
  }
  return `${prefix}${separatorOf(prefix)}${text}`;
}

/** Turns a public id back into the row's uuid; null if it is not an id of that kind. Letters may be in any case. */
export function toUuid(prefix: IdPrefix, id: string): string | null {
  const start = `${prefix}${separatorOf(prefix)}`;
  if (!id.startsWith(start) || id.length !== start.length + ID_LETTERS) return null;
  let number = 0n;
  for (const letter of id.slice(start.length).toUpperCase()) {
    const value = VALUES.get(letter);
    if (value === undefined) return null;
    number = (number << 5n) | value;
  }
  if (number >> 128n !== 0n) return null;
  const bytes = Buffer.from(number.toString(16).padStart(32, '0'), 'hex');
  try {
    return stringify(bytes);
  } catch {
    return null; // 128 bits that are no UUID of any version
  }
}

function separatorOf(prefix: IdPrefix): string {
  return prefix === 'file' ? '-' : '_';
}
