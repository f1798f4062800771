import { isUtf8 } from 'node:buffer';
import { ApiError } from '../http/api-error.js';
import { parseJsonBody } from '../http/json-body.js';
import { textFlaw } from '../http/text-flaw.js';
import type { FileLine } from './split-lines.js';

const LONGEST_CUSTOM_ID = 64;
const SHOWN_LETTERS = 100;

/** What is wrong with a line. The codes stand in docs/errors.md. */
export interface LineFlaw {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
}

/** A line that was turned away. */
export interface Reject extends LineFlaw {
  readonly line: number;
  /** Null if it has none that can be kept. */
  readonly customId: string | null;
}

/** A line that is right as far as can be told from itself. */
export interface CheckedLine {
  readonly line: number;
  readonly customId: string;
  /** What its body says of the models, as it was given. */
  readonly names: Readonly<Record<'model' | 'models' | 'stream', unknown>>;
  /** The body as JSON on one line, in UTF-8. Bytes, because a file's worth of parsed bodies would fill the memory. */
  readonly request: Buffer;
}

/** What all lines of a batch must keep to. */
export interface LineRules {
  readonly endpoint: string;
  /** For a line that names no model. */
  readonly model: string | null;
}

/** Null for a blank line. Never throws. */
export function checkLine({ line, bytes }: FileLine, rules: LineRules): CheckedLine | Reject | null {
  if (bytes === null) return reject(line, null, 'line_too_large', 'The line is larger than 1 MiB.', null);
  if (isBlank(bytes)) return null;
  const parsed = parse(bytes);
  if ('flaw' in parsed) return { line, customId: null, ...parsed.flaw };
  const { custom_id: customId, method, url, body } = parsed.value;
  const idFlaw = flawOfCustomId(customId);
  if (typeof customId !== 'string' || idFlaw !== null) {
    return { line, customId: null, ...(idFlaw ?? MISSING_ID) };
  }
  if (method !== 'POST') return reject(line, customId, 'invalid_method', "method must be 'POST'.", 'method');
  if (url !== rules.endpoint) {
    const given = typeof url === 'string' ? `'${url.slice(0, SHOWN_LETTERS)}'` : 'not text';
    const message = `url is ${given}; it must be the batch's endpoint, '${rules.endpoint}'.`;
    return reject(line, customId, 'url_mismatch', message, 'url');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return reject(line, customId, 'invalid_body', 'body must be a JSON object.', 'body');
  }
  return checkModel(line, customId, body as Record<string, unknown>, rules);
}

/** Whether a line was turned away. */
export function isReject(line: CheckedLine | Reject): line is Reject {
  return 'code' in line;
}

/** An error of a request as a line's own: what the request calls `request.model` is `body.model` here. */
export function flawOfError({ code, message, param }: ApiError): LineFlaw {
  const here = (text: string): string => text.replace(/^request\b/, 'body');
  return { code, message: here(message), param: param === null ? null : here(param) };
}

function checkModel(
  line: number,
  customId: string,
  body: Readonly<Record<string, unknown>>,
  rules: LineRules,
): CheckedLine | Reject {
  // As with OpenAI, null is as good as left out.
  if ((body['model'] ?? body['models'] ?? null) !== null) return checked(line, customId, body);
  if (rules.model !== null) return checked(line, customId, { ...body, model: rules.model });
  const message =
    'body.model is missing: name a model in each line, or one for all as the model of the batch.';
  return reject(line, customId, 'missing_model', message, 'body.model');
}

function checked(line: number, customId: string, body: Readonly<Record<string, unknown>>): CheckedLine {
  const { model, models, stream } = body;
  return { line, customId, names: { model, models, stream }, request: Buffer.from(JSON.stringify(body)) };
}

function parse(bytes: Buffer): { value: Record<string, unknown> } | { flaw: LineFlaw } {
  if (!isUtf8(bytes)) {
    return { flaw: { code: 'invalid_utf8', message: 'The line is not valid UTF-8.', param: null } };
  }
  try {
    const value = parseJsonBody(bytes);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { value: value as Record<string, unknown> };
    }
    return { flaw: { code: 'invalid_json', message: 'The line must be a JSON object, {…}.', param: null } };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return {
      flaw: { code: error.code, message: error.message.replace('The body', 'The line'), param: null },
    };
  }
}

const MISSING_ID: LineFlaw = {
  code: 'missing_custom_id',
  message: 'custom_id is missing: give each line one of its own, by which you find its answer.',
  param: 'custom_id',
};

function flawOfCustomId(customId: unknown): LineFlaw | null {
  if (customId === undefined || customId === null) return MISSING_ID;
  const invalid = (rest: string): LineFlaw => ({
    code: 'invalid_custom_id',
    message: `custom_id must be text of 1 to ${LONGEST_CUSTOM_ID} characters${rest}.`,
    param: 'custom_id',
  });
  if (typeof customId !== 'string') return invalid('');
  if (customId === '' || customId.length > LONGEST_CUSTOM_ID) return invalid(`; it has ${customId.length}`);
  const flaw = textFlaw(customId);
  return flaw === null ? null : invalid(` without ${flaw}`);
}

function reject(
  line: number,
  customId: string | null,
  code: string,
  message: string,
  param: string | null,
): Reject {
  return { line, customId, code, message, param };
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
