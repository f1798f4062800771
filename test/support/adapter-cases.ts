/** The cases that every adapter must pass, whatever its wire format. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Adapter, Endpoint, WireReply } from '../../src/providers/adapter.js';

/** One reply as a provider documents it, and what must be read from it. */
interface Fixture {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  /** In place of `body`, for what is not JSON. */
  readonly text?: string;
  readonly expect: {
    readonly message?: string;
    /** In place of the reply's own body, for a format that is translated: the good answer that is made of it. */
    readonly answer?: unknown;
  } & Record<string, unknown>;
}

/** The time at which the replies are read: a date in them is held against it. */
const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

const CHAT = '/v1/chat/completions';

/** Registers the tests: the recorded replies in the files of `src/providers/fixtures`, and what is the same in every format. */
export function adapterCases(adapter: Adapter, files: readonly string[]): void {
  describe.each(files)('%s:', (file) => {
    test.each(fixturesOf(file).map((fixture) => [fixture.name, fixture] as const))('%s', (_name, fixture) => {
      const text = fixture.text ?? JSON.stringify(fixture.body);
      const reading = adapter.fromWire(
        reply(fixture.status, text, fixture.headers),
        fixture.endpoint,
        NOW_MS,
      );
      const { message = '', answer, ...expected } = fixture.expect;
      expect(reading).toMatchObject({ ok: false, ...expected });
      if (answer === undefined) expect(reading.body).toBe(text);
      else expect(JSON.parse(reading.body ?? '')).toEqual(answer);
      expect(reading.ok ? '' : reading.message).toContain(message);
    });
  });

  test.each(CLASS_OF_STATUS)('a status of %d alone means %s', (status, expected) => {
    for (const body of ['<html>Oops</html>', 'not \u0000 JSON', '{"error":null}', '[]', '']) {
      expect(adapter.fromWire(reply(status, body), CHAT, NOW_MS)).toMatchObject({
        ok: false,
        class: expected,
        body: body === '' ? null : body,
      });
    }
  });

  test.each(NO_OBJECTS)('a reply with 200 and %s is %p', (_name, body, expected) => {
    expect(adapter.fromWire(reply(200, body), CHAT, NOW_MS)).toMatchObject({ ok: false, class: expected });
  });

  test('a reply with 200 that is compressed is malformed, and says so', () => {
    expect(adapter.fromWire(reply(200, '{}', { 'content-encoding': 'gzip' }), CHAT, NOW_MS)).toMatchObject({
      ok: false,
      class: 'malformed',
      message: expect.stringContaining('gzip') as string,
    });
  });

  test.each([null, undefined, 'x', [], { usage: 7 }, { usage: [] }, {}])(
    'usage of %p is not known',
    (body) => {
      expect(adapter.toUsage(body)).toBeNull();
    },
  );
}

const CLASS_OF_STATUS = [
  [301, 'malformed'],
  [302, 'malformed'],
  [307, 'malformed'],
  [400, 'invalid_request'],
  [401, 'unauthorized'],
  [402, 'quota_exhausted'],
  [403, 'unauthorized'],
  [404, 'model_not_found'],
  [405, 'invalid_request'],
  [408, 'timeout'],
  [409, 'overloaded'],
  [410, 'model_not_found'],
  [413, 'invalid_request'],
  [415, 'invalid_request'],
  [418, 'invalid_request'],
  [422, 'invalid_request'],
  [429, 'rate_limited'],
  [500, 'server_error'],
  [501, 'server_error'],
  [502, 'server_error'],
  [503, 'overloaded'],
  [504, 'timeout'],
  [522, 'overloaded'],
  [524, 'timeout'],
  [529, 'overloaded'],
  [599, 'server_error'],
] as const;

const NO_OBJECTS = [
  ['nothing at all', '', 'empty'],
  ['a page', '<html><body>Welcome to nginx!</body></html>', 'malformed'],
  ['half a JSON object', '{"id":"chatcmpl-1","choices":[{"index":0,"mess', 'malformed'],
  ['a list', '[]', 'malformed'],
  ['a text', '"hello"', 'malformed'],
  ['null', 'null', 'malformed'],
  ['an object that is no answer', '{}', 'malformed'],
  ['a stream', 'data: {"choices":[]}\n\ndata: [DONE]\n\n', 'malformed'],
  ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'malformed'],
] as const;

function fixturesOf(file: string): Fixture[] {
  const path = join(__dirname, '../../src/providers/fixtures', file);
  return (JSON.parse(readFileSync(path, 'utf8')) as { cases: Fixture[] }).cases;
}

function reply(status: number, body: string | Buffer, headers: Record<string, string> = {}): WireReply {
  return { status, headers, body: Buffer.from(body) };
}
