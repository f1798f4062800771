import { setImmediate as tick } from 'node:timers/promises';
import type { FastifyRequest } from 'fastify';
import { leastOf } from '../../test/support/rounds.js';
import { jsonOf } from './kept-json.js';
import { type LargeFields, parseLargeBody } from './large-body.js';

const MIB = 1024 * 1024;
const JOB: LargeFields = { request: ['model', 'stream'] };
const ofRoute = (largeFields?: LargeFields) =>
  ({ routeOptions: { config: { largeFields } } }) as unknown as FastifyRequest;
const parse = (text: string, fields?: LargeFields) => parseLargeBody(Buffer.from(text), ofRoute(fields));
const padding = 'ü'.repeat(MIB);
const fill = (unit: string) => unit.repeat(Math.floor((4 * MIB - 1_000) / Buffer.byteLength(unit)));

it('a field that is passed on whole comes as its members that are named, and keeps its bytes', async () => {
  const request = `{ "model" : "a/b", "x": [1.0, 12345678901234567890, "${padding}"],\n "stream":false }`;
  const body = (await parse(`{"metadata": {"a": "b"}, "request":${request} }`, JOB)) as Record<
    string,
    object
  >;
  expect(body).toEqual({ metadata: { a: 'b' }, request: { model: 'a/b', stream: false } });
  expect(jsonOf(body['request']).toString()).toBe(request);
});

it('items come each with its bytes', async () => {
  const items = [`{"custom_id": "a", "x": "${padding}"}`, '[ 1 ]', '"text"', '{}'];
  const body = (await parse(`{"requests": [${items.join(' , ')}]}`, { requests: 'items' })) as {
    requests: unknown[];
  };
  expect(body.requests.map((item) => jsonOf(item).toString())).toEqual(items);
});

it('two bodies whose kept bytes differ have different JSON, and equal ones the same', async () => {
  const of = async (x: string) => JSON.stringify(await parse(`{"request": {"x": "${x}${padding}"}}`, JOB));
  expect(await of('a')).toBe(await of('a'));
  expect(await of('a')).not.toBe(await of('b'));
});

test.each<[string, string, LargeFields | undefined, object]>([
  [
    'a route without large fields',
    `{"x": [${'1,'.repeat(30_000)}1], "y": "${padding}"}`,
    undefined,
    { code: 'invalid_body' },
  ],
  [
    'another large field',
    `{"metadata": "${padding}", "request": {}}`,
    JOB,
    { code: 'invalid_value', param: 'metadata' },
  ],
  [
    'a member that is read',
    `{"request": {"model": "${padding}"}}`,
    JOB,
    { code: 'invalid_value', param: 'request.model' },
  ],
  [
    'a list in place of an object',
    `{"request": ["${padding}"]}`,
    JOB,
    { code: 'invalid_value', param: 'request' },
  ],
  ['half a body', `{"request": {"x": "${padding}"}`, JOB, { code: 'invalid_json' }],
])('%s that is too large is refused', async (_, text, fields, error) => {
  await expect(parse(text, fields)).rejects.toMatchObject(error);
});

it('bytes that are no UTF-8 are refused', async () => {
  const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.alloc(MIB, 0xff), Buffer.from('"}')]);
  await expect(parseLargeBody(bytes, ofRoute(JOB))).rejects.toMatchObject({
    code: 'invalid_json',
    message: expect.stringMatching(/UTF-8/) as string,
  });
});

/** The longest that others waited for their turn while it was parsed: the least of five runs. */
async function longestStretchMs(text: string): Promise<number> {
  const bytes = Buffer.from(text);
  const stretches: number[] = [];
  for (let run = 0; run < 5; run++) {
    let isDone = false;
    let longestMs = 0;
    const parsing = parseLargeBody(bytes, ofRoute(JOB)).finally(() => (isDone = true));
    for (let lastMs = performance.now(); !isDone; lastMs = performance.now()) {
      await tick();
      longestMs = Math.max(longestMs, performance.now() - lastMs);
    }
    await parsing;
    stretches.push(longestMs);
  }
  return Math.min(...stretches);
}

/** How long the same takes in one go: the least of five runs. */
function inOneGoMs(text: string): number {
  const times = Array.from({ length: 5 }, () => {
    const startMs = performance.now();
    JSON.stringify(JSON.parse(text));
    return performance.now() - startMs;
  });
  return Math.min(...times);
}

test.each([
  ['numbers', `[${fill('1,')}1]`],
  ['empty objects', `[${fill('{},')}{}]`],
  ['small objects', `[${fill('{"a":1},')}{}]`],
  ['messages', `[${fill('{"role":"user","content":"Hi there"},')}{}]`],
  ['keys', `{${Array.from({ length: 300_000 }, (_, n) => `"k${n}":1`).join(',')}}`],
])('while 4 MiB of %s are parsed others have their turns', async (_, value) => {
  const text = `{"request":{"model":"a/b","x":${value}}}`;
  const share = await leastOf(1 / 2, async () => (await longestStretchMs(text)) / inOneGoMs(text));
  expect(share).toBeLessThan(1 / 2);
});
