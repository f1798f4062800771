import { ApiError } from './api-error.js';
import { depthError, forbiddenKey, MOST_LEVELS, suspectKey } from './json-rules.js';

/** Where a value stands: its first byte, and the one behind its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What is to be found inside of a field of the scanned object, besides where it stands. */
export type Inside = 'members' | 'items';

/** A field of the scanned object. */
export interface Field extends Span {
  /** Of an object, if its members were asked for; of doubled ones the last, as JSON.parse has it. */
  readonly members: ReadonlyMap<string, Span>;
  /** Of an array, if its items were asked for. */
  readonly items: readonly Span[];
}

/** Far more than any body has at its top, and than may be asked for of one of its fields. */
const MOST_FIELDS = 1_000;
const MOST_FOUND = 20_000;
const LONGEST_KEY = 64;

const [QUOTE, BACKSLASH, COMMA, COLON, MINUS, ZERO, DOT] = [0x22, 0x5c, 0x2c, 0x3a, 0x2d, 0x30, 0x2e];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
const LITERALS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), word]));
/** `"`, `\`, `/`, `b`, `f`, `n`, `r`, `t`. */
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));

type Expected = 'value' | 'value or end' | 'key' | 'key or end' | 'colon' | 'comma or end';

/**
 * Checks that bytes are JSON (RFC 8259) that a body may be, and finds where the fields of its object stand, without building any
 * of it: a step goes over so many bytes and can be gone on with later. The bytes must be UTF-8. Throws an ApiError as `parseJsonBody`.
 */
export class JsonScan {
  /** Of doubled ones the last. */
  readonly fields = new Map<string, Field>();
  /** How many values there are, in all depths. */
  values = 0;
  private i = 0;
  private expected: Expected = 'value';
  /** The string that a step ended in. */
  private openString: number | null = null;
  private readonly open: { isObject: boolean; isConstructor: boolean }[] = [];
  private lastKey = '';
  private field: { key: string; start: number; members: Map<string, Span>; items: Span[] } | null = null;
  private inner: { key: string; start: number } | null = null;

  constructor(
    private readonly bytes: Buffer,
    private readonly inside: Readonly<Record<string, Inside>>,
  ) {
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.i = 3;
  }

  /** Goes over so many bytes, or a few more; false once all are gone over. */
  step(budgetBytes: number): boolean {
    const { bytes } = this;
    const until = Math.min(this.i + budgetBytes, bytes.length);
    while (this.i < until) {
      if (this.openString !== null) {
        this.goOverString(until);
        continue;
      }
      const byte = bytes[this.i] ?? 0;
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) this.i += 1;
      else this.take(byte);
    }
    if (this.i < bytes.length) return true;
    const isWhole = this.open.length === 0 && this.expected === 'comma or end' && this.openString === null;
    if (!isWhole) throw this.wrong('Unexpected end of JSON input');
    return false;
  }

  private take(byte: number): void {
    switch (this.expected) {
      case 'colon':
        if (byte !== COLON) throw this.wrong();
        this.i += 1;
        this.expected = 'value';
        return;
      case 'comma or end':
        return this.takeSeparator(byte);
      case 'key or end':
        if (byte === CLOSE_BRACE) return this.close();
        return this.takeKey(byte);
      case 'key':
        return this.takeKey(byte);
      case 'value or end':
        if (byte === CLOSE_BRACKET) return this.close();
        return this.takeValue(byte);
      case 'value':
        return this.takeValue(byte);
    }
  }

  private takeSeparator(byte: number): void {
    const isObject = this.open.at(-1)?.isObject;
    if (isObject === undefined) throw this.wrong();
    if (byte === (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) return this.close();
    if (byte !== COMMA) throw this.wrong();
    this.i += 1;
    this.expected = isObject ? 'key' : 'value';
  }

  private takeKey(byte: number): void {
    if (byte !== QUOTE) throw this.wrong();
    this.expected = 'colon';
    this.openString = this.i;
    this.i += 1;
  }

  private takeValue(byte: number): void {
    this.values += 1;
    this.beginValue();
    if (byte === QUOTE) {
      this.expected = 'comma or end';
      this.openString = this.i;
      this.i += 1;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      const isObject = byte === OPEN_BRACE;
      this.open.push({ isObject, isConstructor: isObject && this.lastKey === 'constructor' });
      if (this.open.length > MOST_LEVELS) throw depthError(this.i);
      this.lastKey = '';
      this.i += 1;
      this.expected = isObject ? 'key or end' : 'value or end';
    } else {
      this.i = this.endOfPlain(byte);
      this.endValue();
    }
  }

  private close(): void {
    this.open.pop();
    this.i += 1;
    this.endValue();
  }

  private goOverString(until: number): void {
    const { bytes } = this;
    let i = this.i;
    for (; i < until; i++) {
      const byte = bytes[i] ?? 0;
      if (byte === QUOTE) {
        this.i = i + 1;
        return this.endString();
      }
      if (byte === BACKSLASH) {
        i += this.lengthOfEscape(i) - 1;
      } else if (byte < 0x20) {
        this.i = i;
        throw this.wrong('Bad control character in string literal');
      }
    }
    this.i = i;
  }

  private lengthOfEscape(at: number): number {
    const letter = this.bytes[at + 1] ?? 0;
    if (ESCAPED.has(letter)) return 2;
    if (letter === 0x75 && /^[0-9a-f]{4}$/i.test(this.bytes.toString('latin1', at + 2, at + 6))) return 6;
    this.i = at;
    throw this.wrong('Bad escape in string literal');
  }

  private endString(): void {
    const start = this.openString ?? 0;
    this.openString = null;
    if (this.expected === 'colon') this.endKey(start, this.i - 1);
    else this.endValue();
  }

  private endKey(start: number, end: number): void {
    const { bytes, open } = this;
    this.lastKey = suspectKey(bytes, start, end);
    if (this.lastKey === '__proto__') throw forbiddenKey('__proto__');
    if (this.lastKey === 'prototype' && open.at(-1)?.isConstructor === true)
      throw forbiddenKey('constructor.prototype');
    if (open.length > 2 || (open.length === 2 && this.insideOfField() !== 'members')) return;
    // Nobody asks for a longer one; the begin of it will do to tell of it.
    const isLong = end - start > LONGEST_KEY * 6;
    const key = isLong
      ? bytes.toString('utf8', start + 1, start + LONGEST_KEY)
      : String(JSON.parse(bytes.toString('utf8', start, end + 1)));
    if (open.length === 1) this.field = { key, start: 0, members: new Map(), items: [] };
    else this.inner = { key, start: 0 };
  }

  private insideOfField(): Inside | undefined {
    const key = this.field?.key ?? '';
    return Object.hasOwn(this.inside, key) ? this.inside[key] : undefined;
  }

  /** Notes where a value begins, if it is one that is asked for. */
  private beginValue(): void {
    const { open, field } = this;
    if (open.length === 1 && field) field.start = this.i;
    else if (open.length === 2 && field) {
      if (open[1]?.isObject === false && this.insideOfField() === 'items')
        this.inner = { key: '', start: this.i };
      else if (this.inner) this.inner.start = this.i;
    }
  }

  /** Notes where a value ends, if it is one that is asked for. */
  private endValue(): void {
    this.expected = 'comma or end';
    this.lastKey = '';
    const { open, field, inner, i: end } = this;
    if (open.length === 1 && field && open[0]?.isObject === true) {
      this.fields.set(field.key, { start: field.start, end, members: field.members, items: field.items });
      this.field = null;
      if (this.fields.size > MOST_FIELDS) {
        throw new ApiError('invalid_body', `The body has more than ${MOST_FIELDS} fields.`);
      }
    } else if (open.length === 2 && field && inner) {
      const span = { start: inner.start, end };
      if (open[1]?.isObject === true) {
        if (field.members.size < MOST_FOUND) field.members.set(inner.key, span);
      } else if (field.items.length < MOST_FOUND) field.items.push(span);
      this.inner = null;
    }
  }

  /** The end of a number or a word that begins here. */
  private endOfPlain(byte: number): number {
    const word = LITERALS.get(byte);
    if (word === undefined) return this.endOfNumber(byte);
    const end = this.i + word.length;
    if (this.bytes.toString('latin1', this.i, end) !== word) throw this.wrong();
    return end;
  }

  private endOfNumber(byte: number): number {
    const { bytes } = this;
    let i = byte === MINUS ? this.i + 1 : this.i;
    const whole = i;
    i = endOfDigits(bytes, i);
    if (i === whole || (bytes[whole] === ZERO && i > whole + 1)) throw this.wrong();
    if (bytes[i] === DOT) {
      const fraction = i + 1;
      i = endOfDigits(bytes, fraction);
      if (i === fraction) throw this.wrong('Unterminated fractional number', i);
    }
    if (bytes[i] === 0x65 || bytes[i] === 0x45) {
      const sign = bytes[i + 1];
      const digits = sign === 0x2b || sign === MINUS ? i + 2 : i + 1;
      i = endOfDigits(bytes, digits);
      if (i === digits) throw this.wrong('Exponent part is missing a number', i);
    }
    return i;
  }

  private wrong(what = 'Unexpected token', at = this.i): ApiError {
    let line = 1;
    let lineStart = 0;
    for (
      let end = this.bytes.indexOf(0x0a);
      end !== -1 && end < at;
      end = this.bytes.indexOf(0x0a, end + 1)
    ) {
      line += 1;
      lineStart = end + 1;
    }
    const column = this.bytes.toString('utf8', lineStart, at).length + 1;
    return new ApiError(
      'invalid_json',
      `The body is not valid JSON: ${what} at line ${line}, column ${column}.`,
    );
  }
}

function endOfDigits(bytes: Buffer, start: number): number {
  let i = start;
  for (let byte = bytes[i] ?? 0; byte >= 0x30 && byte <= 0x39; byte = bytes[i] ?? 0) i += 1;
  return i;
}
