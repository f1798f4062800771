import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { chatBodies } from '../../test/support/ai-sdk-prompt.js';
import type { Adapter } from './adapter.js';
import { anthropicAdapter } from './anthropic.js';
import { geminiAdapter } from './gemini.js';
import { at, isObject } from './json.js';

const CHAT = '/v1/chat/completions';
const PROVIDER = { name: 'p', baseUrl: 'https://api.test/v1', apiKeys: [], protect: true } as const;

/** The formats that are translated, with a model of each, and where words are lost on purpose. */
const FORMATS = [
  ['anthropic', anthropicAdapter, 'claude-opus-4-6', /$^/],
  // Gemini has no place for them, and nothing in the answer hangs on them.
  ['gemini', geminiAdapter, 'gemini-2.5-flash', /^user$|\.file\.filename$/],
] as const;

/** What is left out of every format: it changes nothing in the answer. */
const LEFT_OUT = new RegExp(
  [
    '^model$', // The chain's.
    String.raw`^(?:metadata|store|safety_identifier|prompt_cache_key|stream)\b`,
    String.raw`^response_format\.json_schema\.name$`, // A label.
    String.raw`\.reasoning_content$`, // Not part of what was said.
  ].join('|'),
);

/** Stands in the place of a text or a number, and is found again in what is written. */
const MARK = 'mark7351';
const MARKED_NUMBER = 0.7351;

type Path = readonly (string | number)[];

/** The paths of all values in a value, itself among them. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  const inner = Array.isArray(value)
    ? value.flatMap((each, index) => pathsOf(each, [...path, index]))
    : isObject(value)
      ? Object.entries(value).flatMap(([name, each]) => pathsOf(each, [...path, name]))
      : [];
  return [path, ...inner];
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce((inner, key) => (inner as Record<string | number, unknown>)[key], value);
}

/** A copy with another value at a path. */
function replaced(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<
    string | number,
    unknown
  >;
  copy[key] = replaced(copy[key], rest, other);
  return copy;
}

/** What is written of a body; null if the format says that it can't carry it. */
function written(adapter: Adapter, model: string, body: unknown): string | null {
  const asked = body as Record<string, unknown>;
  if (adapter.whyNot(CHAT, asked) !== null) return null;
  const request = {
    model: `p/${model}`,
    endpoint: CHAT,
    body: asked,
    keyId: null,
    timeoutMs: 1000,
    signal: new AbortController().signal,
    attemptId: 'att_1',
    attemptIndex: 0,
  } as const;
  return adapter.toWire(request, { ...PROVIDER, kind: 'openai' }, null).body;
}

const bodies = chatBodies();

/** The recorded replies of a format. */
function repliesOf(kind: string): unknown[] {
  const text = readFileSync(join(__dirname, 'fixtures', `${kind}.json`), 'utf8');
  return (JSON.parse(text) as { cases: { body?: unknown }[] }).cases.map(({ body }) => body ?? {});
}

describe.each(FORMATS)('%s:', (kind, adapter, model, lostOnPurpose) => {
  test.each(bodies.map(({ name, body }) => [name, body] as const))(
    '%s: a field that is added anywhere is carried or told',
    (_name, body) => {
      const objects = pathsOf(body).filter((path) => isObject(valueAt(body, path)));
      const lost = objects.filter((path) => {
        const more = replaced(body, path, { ...(valueAt(body, path) as object), wild: MARK });
        const wire = written(adapter, model, more);
        return wire !== null && !wire.includes(MARK) && !LEFT_OUT.test(path.join('.'));
      });
      expect(lost).toEqual([]);
    },
  );

  test.each(bodies.map(({ name, body }) => [name, body] as const))(
    '%s: each text and number in it is carried or told',
    (_name, body) => {
      const marks = { string: MARK, number: MARKED_NUMBER } as const;
      const lost = pathsOf(body).filter((path) => {
        const type = typeof valueAt(body, path);
        const where = path.join('.');
        if ((type !== 'string' && type !== 'number') || LEFT_OUT.test(where) || lostOnPurpose.test(where))
          return false;
        const wire = written(adapter, model, replaced(body, path, marks[type]));
        return wire !== null && !wire.includes(String(marks[type]));
      });
      expect(lost).toEqual([]);
    },
  );

  test('no request makes it fail: it is carried or told', () => {
    const anyBody = fc
      .constantFrom(...bodies)
      .chain(({ body }) => fc.tuple(fc.constant(body), fc.constantFrom(...pathsOf(body)), fc.jsonValue()))
      .map(([body, path, value]) => replaced(body, path, value))
      .filter(isObject);
    fc.assert(
      fc.property(anyBody, (body) => {
        const wire = written(adapter, model, body);
        return wire === null || isObject(JSON.parse(wire));
      }),
      { numRuns: 2000 },
    );
  });

  test('no reply makes it fail: it is an answer in OpenAI words or a failure that says why', () => {
    const replies = repliesOf(kind).map((body) => [body, pathsOf(body)] as const);
    const anyReply = fc
      .constantFrom(...replies)
      .chain(([body, paths]) => fc.tuple(fc.constant(body), fc.constantFrom(...paths), fc.jsonValue()))
      .map(([body, path, value]) => JSON.stringify(replaced(body, path, value)));
    fc.assert(
      fc.property(anyReply, fc.constantFrom(200, 400, 429, 503), (text, status) => {
        const reading = adapter.fromWire({ status, headers: {}, body: Buffer.from(text) }, CHAT, 0);
        if (!reading.ok) return reading.message !== '' && reading.body === text;
        return (
          status === 200 && at(JSON.parse(reading.body), 'choices', 0, 'message', 'role') === 'assistant'
        );
      }),
      { numRuns: 2000 },
    );
  });
});
