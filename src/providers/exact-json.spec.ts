import fc from 'fast-check';
import { parseExact, writeExact } from './exact-json.js';

test.each([
  '{"id":12345678901234567890}',
  '{"id":-9223372036854775808}',
  '[9007199254740993,9007199254740992,9007199254740991]',
  '[[1,12345678901234567890],{"a":[98765432109876543210]}]',
  '{"id":1234567890123456789012345678901234567890}',
  '{"text":"12345678901234567890","id":12345678901234567890}',
  String.raw`{"text":"a \" , 12345678901234567890 , \\","id":12345678901234567890}`,
  '{"12345678901234567890":[12345678901234567890]}',
  '{"a":0.1,"b":-1,"c":1e+21,"d":[12345678901234567890],"e":null,"f":"ü"}',
  '{"text":"@exact-integer:5"}',
  '"x"',
  '{}',
])('%s comes out as it went in', (text) => {
  expect(writeExact(parseExact(text))).toBe(text);
});

test('an integer with blanks about it keeps its digits', () => {
  expect(writeExact(parseExact('{ "id" : 12345678901234567890 }'))).toBe('{"id":12345678901234567890}');
});

test.each(['', '{', '{"id":12345678901234567890', '{"id":12345678901234567890]', '[01234567890123456789]'])(
  '%p is no JSON',
  (text) => {
    expect(parseExact(text)).toBeUndefined();
  },
);

test('a text of many megabytes with a long integer in it is read', () => {
  const text = `{"text":${JSON.stringify('\\"'.repeat(4_000_000))},"id":12345678901234567890}`;
  expect(writeExact(parseExact(text)) === text).toBe(true);
});

test('any JSON is read and written as JSON.parse and JSON.stringify do', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(writeExact(parseExact(text))).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});
