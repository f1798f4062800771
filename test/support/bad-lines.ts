/** Every way in which a line of a batch's input can be wrong, and what it must be turned away with. */

/** A line that is right. */
export interface LineParts {
  readonly custom_id: string;
  readonly method: string;
  readonly url: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface BadKind {
  readonly code: string;
  /** The field that is named; null for the line as a whole. */
  readonly param: string | null;
  /** Whether its `custom_id` can be read, and is its own. */
  readonly keepsId: boolean;
  /** Writes the line, made wrong; `taken` is the `custom_id` of a line before it. */
  readonly write: (right: LineParts, taken: string) => Buffer;
}

export type Flaw =
  | 'not utf-8'
  | 'cut json'
  | 'no object'
  | 'too deep'
  | 'forbidden key'
  | 'too large'
  | 'no custom_id'
  | 'null custom_id'
  | 'custom_id no text'
  | 'empty custom_id'
  | 'long custom_id'
  | 'taken custom_id'
  | 'wrong method'
  | 'no method'
  | 'wrong url'
  | 'no url'
  | 'body no object'
  | 'no body'
  | 'no model'
  | 'model no text'
  | 'unknown provider'
  | 'unknown sim model'
  | 'unknown policy'
  | 'streams';

const TOO_DEEP = 80;
const LINE_LIMIT = 2 ** 20;

/** By kind. */
export const BAD_LINES: Readonly<Record<Flaw, BadKind>> = {
  'not utf-8': ofLine('invalid_utf8', (right) => {
    const bytes = json(right);
    // Half of a character, inside of a string.
    bytes[bytes.indexOf('request') + 2] = 0xc3;
    return bytes;
  }),
  'cut json': ofLine('invalid_json', (right) => json(right).subarray(0, -1)),
  'no object': ofLine('invalid_json', (right) => json([right])),
  'too deep': ofLine('json_too_deep', (right) => {
    const deep = '['.repeat(TOO_DEEP) + ']'.repeat(TOO_DEEP);
    return Buffer.from(`${json(right).subarray(0, -2).toString()},"deep":${deep}}}`);
  }),
  'forbidden key': ofLine('forbidden_key', (right) =>
    Buffer.from(`${json(right).subarray(0, -1).toString()},"__proto__":{}}`),
  ),
  'too large': ofLine('line_too_large', (right) =>
    json({ ...right, body: { ...right.body, padding: 'x'.repeat(LINE_LIMIT - json(right).length) } }),
  ),
  'no custom_id': ofLine(
    'missing_custom_id',
    (right) => json({ ...right, custom_id: undefined }),
    'custom_id',
  ),
  'null custom_id': ofId('missing_custom_id', () => null),
  'custom_id no text': ofId('invalid_custom_id', () => 17),
  'empty custom_id': ofId('invalid_custom_id', () => ''),
  'long custom_id': ofId('invalid_custom_id', (id) => id.padEnd(65, '-')),
  'taken custom_id': ofId('duplicate_custom_id', (_, taken) => taken),
  'wrong method': ofField('invalid_method', 'method', { method: 'GET' }),
  'no method': ofField('invalid_method', 'method', { method: undefined }),
  'wrong url': ofField('url_mismatch', 'url', { url: '/v1/moderations' }),
  'no url': ofField('url_mismatch', 'url', { url: undefined }),
  'body no object': ofField('invalid_body', 'body', { body: ['a'] }),
  'no body': ofField('invalid_body', 'body', { body: undefined }),
  'no model': ofBody('missing_model', 'body.model', { model: undefined }),
  'model no text': ofBody('invalid_value', 'body.model', { model: 17 }),
  'unknown provider': ofBody('unknown_model', 'body.model', { model: 'nobodys/model' }),
  'unknown sim model': ofBody('unknown_model', 'body.model', { model: 'sim/ecko' }),
  'unknown policy': ofBody('unknown_policy', 'body.model', { model: 'policy/nobodys' }),
  streams: ofBody('invalid_value', 'body.stream', { stream: true }),
};

/** A line of which not even the id can be had. */
function ofLine(code: string, write: BadKind['write'], param: string | null = null): BadKind {
  return { code, param, keepsId: false, write };
}

function ofId(code: string, change: (id: string, taken: string) => unknown): BadKind {
  const write: BadKind['write'] = (right, taken) =>
    json({ ...right, custom_id: change(right.custom_id, taken) });
  return { code, param: 'custom_id', keepsId: false, write };
}

function ofField(code: string, param: string, wrong: Readonly<Record<string, unknown>>): BadKind {
  return { code, param, keepsId: true, write: (right) => json({ ...right, ...wrong }) };
}

function ofBody(code: string, param: string, wrong: Readonly<Record<string, unknown>>): BadKind {
  const write: BadKind['write'] = (right) => json({ ...right, body: { ...right.body, ...wrong } });
  return { code, param, keepsId: true, write };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
