import { withNullTypes } from './null-types.js';

test.each([
  ['a plain type', { type: 'string', description: 'd' }, { type: 'string', description: 'd' }],
  ['a type or null', { type: 'string', nullable: true }, { type: ['string', 'null'] }],
  [
    'a word of a list or null',
    { type: 'string', enum: ['a'], nullable: true },
    { type: ['string', 'null'], enum: ['a', null] },
  ],
  [
    'a reference or null',
    { nullable: true, description: 'd', allOf: [{ $ref: '#/x' }] },
    { description: 'd', anyOf: [{ $ref: '#/x' }, { type: 'null' }] },
  ],
  ['what says that it is never null', { type: 'string', nullable: false }, { type: 'string' }],
  [
    'what lies deep inside',
    { paths: [{ a: { type: 'number', nullable: true } }, null, 1] },
    { paths: [{ a: { type: ['number', 'null'] } }, null, 1] },
  ],
])('%s', (_what, schema, expected) => {
  expect(withNullTypes<unknown>(schema)).toEqual(expected);
});
