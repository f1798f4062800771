import { leastCpuMs } from '../../test/support/wall.js';
import { toAnthropicSchema } from './anthropic-schema.js';
import type { JsonObject } from './json.js';

const closed = { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false };

test.each<[string, JsonObject, JsonObject]>([
  ['a closed object stays as it is', closed, closed],
  ['an open object is closed', { type: 'object', properties: closed.properties }, closed],
  ['an object is known by its fields', { properties: {} }, { properties: {}, additionalProperties: false }],
  ['a choice of one is a choice', { oneOf: [closed] }, { anyOf: [closed] }],
  [
    'rules become words',
    { type: 'integer', description: 'Age', minimum: 0, exclusiveMaximum: 150 },
    { type: 'integer', description: 'Age\nminimum: 0; exclusive maximum: 150.' },
  ],
  [
    'rules that every value meets are left out',
    { type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 },
    { type: 'integer' },
  ],
  [
    'other rules that every value meets are left out',
    { minLength: 0, minItems: 0, minProperties: 0, uniqueItems: false },
    {},
  ],
  ['one item at least is kept', { type: 'array', minItems: 1 }, { type: 'array', minItems: 1 }],
  ['a known format is kept', { type: 'string', format: 'date' }, { type: 'string', format: 'date' }],
  [
    'another format becomes words',
    { type: 'string', format: 'regex' },
    { type: 'string', description: 'format: regex.' },
  ],
  ['notes for people are left out', { type: 'string', $comment: 'x', examples: ['y'] }, { type: 'string' }],
  [
    'definitions that build on each other',
    { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: closed } },
    { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: closed } },
  ],
  [
    'fields that are named like keywords',
    { type: 'object', properties: { minimum: { type: 'integer' }, $ref: { type: 'string' } } },
    {
      type: 'object',
      properties: { minimum: { type: 'integer' }, $ref: { type: 'string' } },
      additionalProperties: false,
    },
  ],
])('%s', (_name, schema, expected) => {
  expect(toAnthropicSchema(schema, false)).toEqual(expected);
});

test.each<[string, JsonObject]>([
  ['whose fields are not all named', { type: 'object' }],
  ['whose fields are not all named', { type: ['object', 'null'] }],
  ['whose fields are not all named', { type: 'object', properties: {}, additionalProperties: true }],
  ['it uses `patternProperties`', { ...closed, patternProperties: { x: {} } }],
  ['it uses `if`', { ...closed, if: closed }],
  ['it uses `prefixItems`', { type: 'array', prefixItems: [closed] }],
  ['it uses `__proto__`', JSON.parse('{"__proto__":{"type":"string"}}') as JsonObject],
  ['`oneOf` beside `anyOf`', { anyOf: [closed], oneOf: [closed] }],
  ['`$ref` to something else', { $ref: 'https://example.com/schema' }],
  ['`$ref` to something else', { $ref: '#/properties/a' }],
  ['refer to themselves', { ...closed, properties: { a: { $ref: '#' } } }],
  [
    'refer to themselves',
    {
      $ref: '#/$defs/a',
      $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { allOf: [{ $ref: '#/$defs/a' }] } },
    },
  ],
  ['is not an object', { type: 'array', items: [closed] }],
  ['is not an object', { properties: [closed] }],
  ['is not a list', { anyOf: closed }],
])('%s: told of a schema that it cannot take', (words, schema) => {
  expect(toAnthropicSchema(schema, false)).toEqual(expect.stringContaining(words));
});

test.each(['minimum', 'maxLength', 'pattern', 'uniqueItems'])(
  'a strict schema with `%s` is not taken, since that would not be enforced',
  (keyword) => {
    expect(toAnthropicSchema({ type: 'string', [keyword]: 1 }, true)).toBe(
      `it is strict, and \`${keyword}\` is not enforced there`,
    );
  },
);

test('a strict schema as Zod writes it is taken', () => {
  const whole = { type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 };
  const schema = { ...closed, properties: { a: whole, b: { type: 'array', items: whole, minItems: 1 } } };
  expect(toAnthropicSchema(schema, true)).toEqual({
    ...closed,
    properties: { a: { type: 'integer' }, b: { type: 'array', items: { type: 'integer' }, minItems: 1 } },
  });
});

test('the work grows with the size of a schema, however its definitions build on each other', () => {
  const chainOf = (length: number): JsonObject => {
    const links = Array.from({ length }, (_, index) => [`d${index}`, { $ref: `#/$defs/d${index + 1}` }]);
    return {
      $ref: '#/$defs/d0',
      $defs: { ...Object.fromEntries(links), [`d${length}`]: { type: 'string' } },
    };
  };
  const [small, large] = [chainOf(2_000), chainOf(20_000)];
  expect(toAnthropicSchema(large, false)).toEqual(large);
  const smallMs = leastCpuMs(() => toAnthropicSchema(small, false));
  // Ten times the size; a hundred times the work would be the square.
  expect(leastCpuMs(() => toAnthropicSchema(large, false))).toBeLessThan(40 * Math.max(1, smallMs));
});
