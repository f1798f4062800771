import { leastCpuMs } from '../../test/support/wall.js';
import { parseJsonBody } from './json-body.js';

const parse = (text: string) => parseJsonBody(Buffer.from(text));
const deep = (levels: number, open = '[', close = ']') => open.repeat(levels) + close.repeat(levels);
const MIB = 1024 * 1024;

test.each<[string]>([
  ['{}'],
  ['null'],
  [' {"a": [1, "x", {"b": null}], "ü": "\\u00e9\\"{[" } '],
  [deep(64)],
  ['{"text": "[[[[{{{{", "x": "\\\\"}'],
  [`{"brackets": "${'['.repeat(100)}", "quote": "\\"${'{'.repeat(100)}"}`],
  ['{"said": "__proto__", "list": ["constructor", "prototype"]}'],
  ['{"constructor": "x", "prototype": {}}'],
  ['{"constructor": [{"prototype": 1}]}'],
  ['{"constructor": {"a": {"prototype": 1}}}'],
])('%j is parsed as JSON.parse does', (text) => {
  expect(parse(text)).toEqual(JSON.parse(text));
});

test('a byte order mark is passed over, an empty body is none', () => {
  expect(parse('\ufeff{"a":1}')).toEqual({ a: 1 });
  expect(parse('')).toBeUndefined();
});

test.each<[string, string, RegExp]>([
  [deep(65), 'json_too_deep', /64 levels, at byte 65/],
  [`{"a":${deep(64)}}`, 'json_too_deep', /at byte 69/],
  [deep(65, '{"a":', '}'), 'json_too_deep', /64 levels/],
  ['{"__proto__": {}}', 'forbidden_key', /'__proto__'/],
  ['{"a": [{"b": 1, "__proto__" \n : null}]}', 'forbidden_key', /'__proto__'/],
  ['{"\\u005f_proto\\u005F_": {}}', 'forbidden_key', /'__proto__'/],
  ['{"constructor": {"prototype": {}}}', 'forbidden_key', /'constructor\.prototype'/],
  ['{"constr\\u0075ctor": {"x": [], "prototyp\\u0065": 1}}', 'forbidden_key', /'constructor\.prototype'/],
  ['   ', 'invalid_json', /^The body is not valid JSON: Unexpected end of JSON input\.$/],
  ['{"a": 1', 'invalid_json', /at line 1, column 8\.$/],
  ['{\n  "a": 1,\n}', 'invalid_json', /at line 3, column 1\.$/],
  ['{"a": undefined}', 'invalid_json', /Unexpected token/],
  ["{'a': 1}", 'invalid_json', /at line 1, column 2\.$/],
  ['{"a": "x', 'invalid_json', /Unterminated string/],
  ['{"a": "x\\', 'invalid_json', /not valid JSON/],
  ['hello', 'invalid_json', /not valid JSON/],
  ['{} {}', 'invalid_json', /at line 1, column 4\.$/],
])('%j is refused as %s', (text, code, message) => {
  expect(() => parse(text)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
});

test('bytes that are no UTF-8 are refused', () => {
  const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
  expect(() => parseJsonBody(bytes)).toThrow(
    expect.objectContaining({ code: 'invalid_json', message: expect.stringMatching(/UTF-8/) }),
  );
});

test('a message never repeats much of the body', () => {
  expect(() => parse(`{"secret": ${'hush'.repeat(1000)}}`)).toThrow(
    expect.objectContaining({ message: expect.not.stringMatching(/.{200}/) }),
  );
});

test('no prototype is changed by what is parsed', () => {
  expect(() => parse('{"a":{"__proto__":{"polluted":1}}}')).toThrow(/__proto__/);
  expect('polluted' in {}).toBe(false);
});

test.each<[string, string, boolean]>([
  ['a depth bomb', deep(2 * MIB), false],
  ['objects without end', '{"a":'.repeat(800_000), false],
  ['backslashes', `"${'\\'.repeat(4 * MIB - 2)}"`, true],
  ['quotes', '"'.repeat(4 * MIB), false],
  ['blanks after texts', `["a"${' '.repeat(4 * MIB - 10)}]`, true],
  ['one large text', `{"a":"${'x'.repeat(4 * MIB - 10)}"}`, true],
])('4 MiB of %s are looked over in time', (_, text, isGood) => {
  const bytes = Buffer.from(text);
  const run = () => (isGood ? parseJsonBody(bytes) : refused(() => parseJsonBody(bytes)));
  expect(leastCpuMs(run)).toBeLessThan(400);
});

function refused(run: () => unknown): void {
  expect(run).toThrow(expect.objectContaining({ name: 'ApiError' }));
}
