import { isUtf8 } from 'node:buffer';
import { setImmediate as breathe } from 'node:timers/promises';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { ApiError } from './api-error.js';
import { type Field, type Inside, JsonScan, type Span } from './json-scan.js';
import { keepItemJson, keepJson, textOf } from './kept-json.js';

/** From here on a body is gone over in steps, and built as little as can be. */
export const LARGE_BODY_BYTES = 128 * 1024;
/** Some two milliseconds of scanning; others have their turn after each. */
const STEP_BYTES = 256 * 1024;
/** What is built of a large body at once. */
const LONGEST_PART = 64 * 1024;
/** A body with more is too much to build at once. */
const MOST_VALUES = 20_000;

/** Fields that may be large, by name: of an object these members are read, of an array its items. */
export type LargeFields = Readonly<Record<string, readonly string[] | 'items'>>;

interface LargeFieldsConfig {
  readonly largeFields?: LargeFields;
}

/**
 * Marks a handler whose body may have large fields that it passes on whole. In a large body such a field comes as an object of
 * the members that are named here, or as an array of such objects, each without any; `jsonOf` gives the bytes that came.
 */
export const LargeBody = (fields: LargeFields) =>
  RouteConfig({ largeFields: fields } satisfies LargeFieldsConfig);

/** Parses a body of {@link LARGE_BODY_BYTES} or more, in steps, so that nobody else waits for it. Throws an ApiError. */
export async function parseLargeBody(bytes: Buffer, request: FastifyRequest): Promise<unknown> {
  if (!isUtf8(bytes)) throw new ApiError('invalid_json', 'The body is not valid UTF-8.');
  const large = (request.routeOptions.config as LargeFieldsConfig).largeFields ?? {};
  const scan = new JsonScan(bytes, insideOf(large));
  while (scan.step(STEP_BYTES)) await breathe();
  const names = Object.keys(large);
  // What is no object is told of by whoever looks at the body.
  if (names.length === 0 || scan.fields.size === 0) return built(bytes, scan.values);
  const body: Record<string, unknown> = {};
  for (const [key, field] of scan.fields) {
    const inside = large[key];
    body[key] =
      field.end - field.start <= LONGEST_PART || !names.includes(key) || inside === undefined
        ? small(bytes, key, field)
        : largeField(bytes, key, field, inside);
  }
  return body;
}

function insideOf(large: LargeFields): Record<string, Inside> {
  const entries = Object.entries(large);
  return Object.fromEntries(entries.map(([key, inside]) => [key, inside === 'items' ? 'items' : 'members']));
}

function built(bytes: Buffer, values: number): unknown {
  if (values > MOST_VALUES)
    throw new ApiError('invalid_body', `The body has more than ${MOST_VALUES} values.`);
  return valueOf(bytes, { start: bytes[0] === 0xef ? 3 : 0, end: bytes.length });
}

function small(bytes: Buffer, key: string, span: Span): unknown {
  if (span.end - span.start <= LONGEST_PART) return valueOf(bytes, span);
  throw new ApiError('invalid_value', `${key.slice(0, 64)} is longer than ${LONGEST_PART} bytes.`, {
    param: key.slice(0, 64),
  });
}

function largeField(bytes: Buffer, key: string, field: Field, inside: readonly string[] | 'items'): unknown {
  const own = bytes.subarray(field.start, field.end);
  if (inside === 'items') {
    if (own[0] !== 0x5b) return small(bytes, key, field);
    const items = field.items.map((span) => {
      const item = bytes.subarray(span.start, span.end);
      // What is no object is told of where its line is checked.
      return item[0] === 0x7b ? keepItemJson({}, item) : keepItemJson([], item);
    });
    return keepJson(items, own);
  }
  if (own[0] !== 0x7b) return small(bytes, key, field);
  const members = inside.flatMap((name) => {
    const span = field.members.get(name);
    return span ? [[name, small(bytes, `${key}.${name}`, span)] as const] : [];
  });
  return keepJson(Object.fromEntries(members), own);
}

function valueOf(bytes: Buffer, { start, end }: Span): unknown {
  return JSON.parse(textOf(bytes.subarray(start, end)));
}
