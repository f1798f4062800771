import { isIP } from 'node:net';

/** A value read from text, or what would be right. A problem never repeats the text: it may be a secret. */
export type Parsed<T> = { readonly value: T; readonly problem?: undefined } | { readonly problem: string };

export type Parse<T> = (text: string) => Parsed<T>;

/** A whole number from `least` to `most`, in decimal digits. */
export function wholeNumber(least: number, most: number): Parse<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return { value };
    return { problem: `must be a whole number from ${least} to ${most}` };
  };
}

/** One of a few words, in any case. */
export function oneOf<Word extends string>(words: readonly Word[]): Parse<Word> {
  return (text) => {
    const value = words.find((word) => word === text.toLowerCase());
    return value === undefined ? { problem: `must be one of ${words.join(', ')}` } : { value };
  };
}

/** Any text at all. */
export function someText(text: string): Parsed<string> {
  return { value: text };
}

export function hostName(text: string): Parsed<string> {
  if (/^[A-Za-z0-9.:_-]+$/.test(text)) return { value: text };
  return { problem: 'must be an IP address or a host name without a port, such as 127.0.0.1 or 0.0.0.0' };
}

/** A URL of one of the schemes, kept as written. */
export function connectionString(schemes: readonly string[]): Parse<string> {
  return (text) => {
    if (URL.canParse(text) && schemes.includes(new URL(text).protocol)) return { value: text };
    return {
      problem: `must be a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
    };
  };
}

/** The name of a bucket, by the widest rules that S3-compatible stores have. */
export function bucketName(text: string): Parsed<string> {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$/.test(text)) return { value: text };
  return { problem: 'must be the name of a bucket: 2 to 63 letters, digits, dots, dashes and underscores' };
}

export function regionName(text: string): Parsed<string> {
  if (/^[A-Za-z0-9-]{1,63}$/.test(text)) return { value: text };
  return { problem: 'must be the name of a region, such as us-east-1' };
}

/** What the names of objects begin with: only letters that every store takes as they are. */
export function objectPrefix(text: string): Parsed<string> {
  if (/^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/.test(text) && !text.includes('//')) return { value: text };
  return {
    problem:
      'must be at most 200 letters, digits, dots, dashes, underscores and single slashes, and not begin with a slash',
  };
}

export function roleList(text: string): Parsed<{ api: boolean; worker: boolean }> {
  const roles = partsOf(text.toLowerCase());
  if (roles.length > 0 && roles.every((role) => role === 'api' || role === 'worker')) {
    return { value: { api: roles.includes('api'), worker: roles.includes('worker') } };
  }
  return { problem: 'must be api, worker, or api,worker' };
}

export function adminKey(text: string): Parsed<string> {
  if (/^[\x21-\x7e]{16,}$/.test(text)) return { value: text };
  return { problem: 'must have at least 16 visible ASCII characters and no blanks' };
}

export function encryptionKeys(text: string): Parsed<readonly Buffer[]> {
  const keys = partsOf(text).map(encryptionKey);
  const wrong = keys.findIndex((key) => key === null);
  if (keys.length > 0 && wrong < 0) return { value: keys.filter((key) => key !== null) };
  return {
    problem: `must be 32-byte keys in base64 (44 characters) or hex (64 characters), comma-separated, newest first; key ${wrong + 1} is not`,
  };
}

export function cidrList(text: string): Parsed<readonly string[]> {
  const ranges = partsOf(text);
  const wrong = ranges.find((range) => !isCidr(range));
  if (wrong === undefined) return { value: ranges };
  return {
    problem: `must be CIDR ranges such as 10.0.0.0/8 or fd00::/8, comma-separated; range ${ranges.indexOf(wrong) + 1} is not`,
  };
}

function partsOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function encryptionKey(text: string): Buffer | null {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  // 32 bytes are 43 digits of base64, and one `=` to fill up; both alphabets are in use.
  if (/^([A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.test(text)) return Buffer.from(text, 'base64');
  return null;
}

function isCidr(range: string): boolean {
  const [address = '', bits = '', ...rest] = range.split('/');
  const family = isIP(address);
  const mostBits = family === 4 ? 32 : 128;
  return family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= mostBits;
}
